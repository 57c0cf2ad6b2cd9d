import type { Graph, HostTensor, Node, Spec } from '../../graph.ts';
import { sizeOf } from '../../graph.ts';

/**
 * Bytes of the largest matrix that is kept in one piece: what every card can bind (WebGPU's `maxStorageBufferBindingSize` is
 * at least this). onnxruntime binds larger tensors in several pieces, as long as an operation's bindings suffice.
 */
export const BLOCK_BYTES = 2 ** 27;

/** The name of a block of rows of what `name` is the name of. */
export const blockName = (name: string, block: number): string => `${name} block ${block}`;

/** How many rows the blocks of a matrix have: as equal as can be; undefined where it is kept in one piece. */
export function blockRows(shape: readonly number[], limit: number): number[] | undefined {
  const [rows] = shape;
  if (shape.length !== 2 || 4 * sizeOf(shape) <= limit || rows < 2) return undefined;
  const most = Math.max(1, Math.floor(limit / (4 * shape[1])));
  const each = Math.ceil(rows / Math.ceil(rows / most));
  return Array.from({ length: Math.ceil(rows / each) }, (_, i) => Math.min(each, rows - i * each));
}

/** The first row of every block. */
export const startsOf = (rows: readonly number[]): number[] =>
  rows.map((_, i) => rows.slice(0, i).reduce((a, b) => a + b, 0));

/** A matrix in host memory as its blocks, views of it; one in one piece as it is. */
export function cutTensor(tensor: HostTensor, rows: readonly number[] | undefined): HostTensor[] {
  if (!rows) return [tensor];
  const { data, shape, ...rest } = tensor;
  const width = shape[1];
  return startsOf(rows).map((start, i) => ({
    ...rest,
    shape: [rows[i], width],
    data: data.subarray(start * width, (start + rows[i]) * width),
  }));
}

/** A matrix in blocks of rows. */
interface Cut {
  names: string[];
  rows: readonly number[];
}

/** What of a graph is there in blocks now. */
export interface Cuts {
  /** Rows of the blocks of large inputs. */
  inputs: Map<string, readonly number[]>;
  /** Where the outputs that are blocks belong. */
  outputs: Map<string, Spec & { name: string; firstRow: number }>;
}

/** Rewrites a graph, before `finish()`, so that large matrices come, go and are worked on in blocks of rows. */
export function cutLarge(graph: Graph, limit: number): Cuts {
  return new Cutter(graph, limit).run();
}

/** Operations whose rows need the same rows of their operands alone. */
const ROW_BY_ROW = new Set([
  ...['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Max', 'Min', 'Where', 'Greater', 'GreaterOrEqual', 'Less'],
  ...['Neg', 'Sqrt', 'Exp', 'Log', 'Reciprocal', 'Relu', 'Tanh', 'Sigmoid', 'Cast'],
]);

class Cutter {
  readonly #graph: Graph;
  readonly #limit: number;
  readonly #cuts = new Map<string, Cut>();
  readonly #made = new Map<string, string[]>();

  constructor(graph: Graph, limit: number) {
    this.#graph = graph;
    this.#limit = limit;
  }

  run(): Cuts {
    const graph = this.#graph;
    const inputs: Cuts['inputs'] = new Map();
    for (const [name, { dtype, shape }] of [...graph.inputs]) {
      const rows = blockRows(shape, this.#limit);
      if (!rows) continue;
      const names = rows.map((_, i) => blockName(name, i));
      graph.inputs.delete(name);
      for (const [i, block] of names.entries()) graph.input(block, { dtype, shape: [rows[i], shape[1]] });
      this.#cuts.set(name, { names, rows });
      inputs.set(name, rows);
    }
    for (const node of graph.nodes.splice(0, Infinity)) {
      const [output] = node.outputs;
      const cut = this.#rewrite(node);
      if (!cut) graph.nodes.push({ ...node, inputs: node.inputs.map((name) => this.#whole(name)) });
      else if ('names' in cut) this.#cuts.set(output, cut);
      else
        graph.nodes.push({
          op: 'Identity',
          domain: '',
          inputs: [cut.whole],
          outputs: [output],
          attributes: {},
        });
    }
    const outputs: Cuts['outputs'] = new Map();
    // In their order.
    for (const [name, { value, dtype, shape }] of [...graph.outputs]) {
      graph.outputs.delete(name);
      const rows = blockRows(shape, this.#limit);
      const blocks = rows && this.#blocks(value, rows);
      if (!blocks) graph.output(name, { dtype, shape }, this.#whole(value));
      else
        for (const [i, firstRow] of startsOf(rows).entries()) {
          graph.output(blockName(name, i), { dtype, shape: [rows[i], shape[1]] }, blocks[i]);
          outputs.set(blockName(name, i), { name, dtype, shape, firstRow });
        }
    }
    return { inputs, outputs };
  }

  /** What takes a node's place; undefined where nothing of it is large, or it has to have large matrices whole. */
  #rewrite(node: Node): Cut | { whole: string } | undefined {
    const { op, inputs, outputs, attributes } = node;
    const shape =
      op === 'ConstantOfShape'
        ? Array.from(this.#graph.constants.get(inputs[0])!.data as BigInt64Array, Number)
        : this.#shapeOf(outputs[0]);
    const large = shape && blockRows(shape, this.#limit);
    if (!large && !inputs.some((name) => this.#cuts.has(name))) return undefined;
    if (op === 'Gather' && attributes.axis === 0) return this.#gather(inputs[0], inputs[1]);
    if (op === 'Gemm' || (op === 'MatMul' && inputs.every((name) => this.#shapeOf(name)?.length === 2)))
      return this.#product(node, large);
    if (!large) return undefined;
    if (op === 'ConstantOfShape')
      return this.#each(large, (i) =>
        this.#graph.emit(op, [this.#graph.ints([large[i], shape[1]])], attributes),
      );
    if (op === 'ScatterElements' && attributes.axis === 0 && attributes.reduction === 'add') {
      const [data, ids, updates] = [
        this.#blocks(inputs[0], large),
        this.#whole(inputs[1]),
        this.#whole(inputs[2]),
      ];
      return this.#each(large, (i) => {
        const { local, inside } = this.#places(ids, large, i);
        const own = this.#emit('Where', inside, updates, this.#graph.scalar(0));
        return this.#graph.emit(op, [data[i], local, own], attributes);
      });
    }
    if (!ROW_BY_ROW.has(op)) return undefined;
    const parts = inputs.map((name) => this.#blocksOrSame(name, large));
    if (!parts.every((names) => names !== undefined)) return undefined;
    return this.#each(large, (i) =>
      this.#graph.emit(
        op,
        parts.map((names) => names[i]),
        attributes,
      ),
    );
  }

  #each(rows: readonly number[], make: (block: number) => string): Cut {
    return { rows, names: rows.map((_, i) => make(i)) };
  }

  #emit(op: string, ...inputs: string[]): string {
    return this.#graph.emit(op, inputs);
  }

  /** Rows are taken from every block; of those that a row does not belong to, what was taken is dropped. */
  #gather(table: string, ids: string): { whole: string } | undefined {
    const cut = this.#cuts.get(table);
    if (!cut) return undefined;
    const whole = cut.names.reduce<string | undefined>((others, block, i) => {
      const { local, inside } = this.#places(ids, cut.rows, i);
      const taken = this.#graph.emit('Gather', [block, local], { axis: 0 });
      const column = this.#emit('Unsqueeze', inside, this.#graph.ints([-1]));
      return others === undefined ? taken : this.#emit('Where', column, taken, others);
    }, undefined);
    return { whole: whole! };
  }

  /** Where ids are among a block's rows, and whether they are: the others are at 0. */
  #places(ids: string, rows: readonly number[], block: number): { local: string; inside: string } {
    const [local, inside] = this.#once(`places|${ids}|${rows}|${block}`, () => {
      const int = (value: number) => this.#graph.scalar(value, 'int32');
      const from = this.#emit('Sub', ids, int(startsOf(rows)[block]));
      const inside = this.#emit(
        'And',
        this.#emit('GreaterOrEqual', from, int(0)),
        this.#emit('Less', from, int(rows[block])),
      );
      return [this.#emit('Where', inside, from, int(0)), inside];
    });
    return { local, inside };
  }

  /** Products: of blocks side by side, below each other, or summed up, as the large matrix's rows are an axis of the result or not. */
  #product(node: Node, large: number[] | undefined): Cut | { whole: string } | undefined {
    const { op, inputs, attributes } = node;
    const [a, b, c] = inputs;
    const { transA, transB } = attributes;
    const of = (a: string, b: string, c?: string) => {
      if (op === 'Gemm') return this.#graph.emit('Gemm', c === undefined ? [a, b] : [a, b, c], attributes);
      const product = this.#emit('MatMul', a, b);
      return c === undefined ? product : this.#emit('Add', product, c);
    };
    const [left, right] = [this.#cuts.get(a), this.#cuts.get(b)];
    // Rows of the result.
    if (large) {
      const parts = transA ? this.#parts(a, large, 1) : this.#blocks(a, large);
      const other = this.#whole(b);
      const added = c === undefined ? [] : this.#blocksOrSame(c, large);
      if (!added) return undefined;
      return this.#each(large, (i) => of(parts[i], other, added[i]));
    }
    // Columns of the result, or rows of a small one.
    const columns = right && transB;
    if (columns || (left && !transA)) {
      const products = columns
        ? right.names.map((block) => of(this.#whole(a), block))
        : left!.names.map((block) => of(block, this.#whole(b)));
      const whole = this.#graph.emit('Concat', products, { axis: columns ? 1 : 0 });
      return { whole: c === undefined ? whole : this.#emit('Add', whole, this.#whole(c)) };
    }
    // What is summed over.
    const { rows } = (left ?? right)!;
    const lefts = transA ? this.#blocks(a, rows) : this.#parts(a, rows, 1);
    const rights = transB ? this.#parts(b, rows, 1) : this.#blocks(b, rows);
    const whole = rows.reduce<string | undefined>(
      (sum, _, i) => of(lefts[i], rights[i], sum),
      c === undefined ? undefined : this.#whole(c),
    );
    return { whole: whole! };
  }

  #whole(name: string): string {
    const cut = this.#cuts.get(name);
    if (!cut) return name;
    return this.#once(`whole|${name}`, () => [this.#graph.emit('Concat', cut.names, { axis: 0 })])[0];
  }

  #blocks(name: string, rows: readonly number[]): string[] {
    const cut = this.#cuts.get(name);
    return cut && `${cut.rows}` === `${rows}` ? cut.names : this.#parts(name, rows, 0);
  }

  #parts(name: string, sizes: readonly number[], axis: number): string[] {
    return this.#once(`parts|${name}|${sizes}|${axis}`, () =>
      startsOf(sizes).map((start, i) =>
        this.#emit(
          'Slice',
          this.#whole(name),
          ...[[start], [start + sizes[i]], [axis]].map((n) => this.#graph.ints(n)),
        ),
      ),
    );
  }

  /** Blocks of what has a row for every row of the matrix, and else is broadcast; undefined where its shape is not known. */
  #blocksOrSame(name: string, rows: readonly number[]): string[] | undefined {
    if (this.#cuts.has(name)) return this.#blocks(name, rows);
    const shape = this.#shapeOf(name);
    if (!shape) return undefined;
    const count = rows.reduce((a, b) => a + b, 0);
    return shape.length === 2 && shape[0] === count ? this.#blocks(name, rows) : rows.map(() => name);
  }

  /** Undefined where it is not known. */
  #shapeOf(name: string): readonly number[] | undefined {
    const { specs, inputs, constants } = this.#graph;
    return (specs.get(name) ?? inputs.get(name) ?? constants.get(name))?.shape;
  }

  #once(key: string, make: () => string[]): string[] {
    const known = this.#made.get(key) ?? make();
    this.#made.set(key, known);
    return known;
  }
}
