import type { Graph, Node, RandomInput } from '../../graph.ts';
import { ELEMENT_TYPE } from '../../onnx.ts';
import { transpose } from '../../transpose.ts';
import { drawInGraph } from './random.ts';

/**
 * Rewrites, before `finish()`, what onnxruntime's WebGPU provider leaves to the processor, in operations that it has, and
 * random inputs in hashes.
 * @returns the random inputs that were replaced; their keys are an input now
 */
export function lower(graph: Graph): readonly RandomInput[] {
  const random = graph.randomInputs.splice(0, Infinity);
  const traced = graph.nodes.splice(0, Infinity);
  for (const { name } of random) graph.inputs.delete(name);
  const drawn = drawInGraph(graph, random);
  for (const node of [...graph.nodes.splice(0, Infinity), ...traced]) {
    node.inputs = node.inputs.map((name) => drawn.get(name) ?? name);
    const rewrite = REWRITES[node.op];
    if (rewrite) replace(graph, rewrite, node);
    else graph.nodes.push(node);
  }
  for (const output of graph.outputs.values()) output.value = drawn.get(output.value) ?? output.value;
  return random;
}

/** Emits what takes a node's place and gives the values that take that of its outputs; undefined where the node stays. */
type Rewrite = (graph: Graph, node: Node) => string | string[] | undefined;

function replace(graph: Graph, rewrite: Rewrite, node: Node): void {
  const first = graph.nodes.length;
  const rewritten = rewrite(graph, node);
  if (!rewritten) {
    graph.nodes.push(node);
    return;
  }
  const values = [rewritten].flat();
  const names = new Map(values.map((value, i) => [value, node.outputs[i]]));
  const rename = (name: string) => names.get(name) ?? name;
  for (const emitted of graph.nodes.slice(first)) {
    emitted.inputs = emitted.inputs.map(rename);
    emitted.outputs = emitted.outputs.map(rename);
  }
}

/** A shader may bind so many buffers at least: an operation's inputs and outputs. */
export const BUFFERS = 8;

const REWRITES: Record<string, Rewrite | undefined> = {
  FusedMatMul(graph, { inputs: [a, b], attributes }) {
    const [left, right] = [
      attributes.transA ? swapped(graph, a) : a,
      attributes.transB ? swapped(graph, b) : b,
    ];
    return graph.emit('MatMul', [left, right]);
  },
  // A shader writes all of its outputs.
  Split(graph, { inputs: [x, sizes], attributes }) {
    const split = (x: string, sizes: number[]): string[] => {
      const most = BUFFERS - 1;
      if (sizes.length <= most)
        return graph.emitMany('Split', sizes.length, [x, graph.ints(sizes)], attributes);
      const each = Math.ceil(sizes.length / most);
      const groups = Array.from({ length: Math.ceil(sizes.length / each) }, (_, i) =>
        sizes.slice(i * each, (i + 1) * each),
      );
      const sums = groups.map((group) => group.reduce((a, b) => a + b, 0));
      const parts = split(x, sums);
      return groups.flatMap((group, i) => (group.length > 1 ? split(parts[i], group) : [parts[i]]));
    };
    return split(x, integers(graph, sizes));
  },
  // From 64 keys on, what the provider makes of attention is off by a hundredth (seen in onnxruntime 1.30 with lavapipe).
  MultiHeadAttention(graph, { inputs: [q, k, v, ...others], attributes }) {
    if (others.length || !attributes.scale) return undefined;
    const heads = (x: string, perm: number[]) => {
      const split = graph.emit('Reshape', [x, graph.ints([0, 0, attributes.num_heads as number, -1])]);
      return graph.emit('Transpose', [split], { perm });
    };
    const { float: scale } = attributes.scale as { float: number };
    const query = graph.emit('Mul', [heads(q, [0, 2, 1, 3]), graph.scalar(scale)]);
    const weights = graph.emit('Softmax', [graph.emit('MatMul', [query, heads(k, [0, 2, 3, 1])])], {
      axis: -1,
    });
    const mixed = graph.emit('MatMul', [weights, heads(v, [0, 2, 1, 3])]);
    const joined = graph.emit('Transpose', [mixed], { perm: [0, 2, 1, 3] });
    return graph.emit('Reshape', [joined, graph.ints([0, 0, -1])]);
  },
  // Its 64-bit places are made 32-bit ones by looking them up.
  TopK(graph, { inputs, attributes }) {
    const [values, places] = graph.emitMany('TopK', 2, inputs, attributes);
    const count = graph.specs.get(inputs[0])!.shape.at(attributes.axis as number)!;
    const numbers = graph.constant(
      'int32',
      [count],
      Int32Array.from({ length: count }, (_, i) => i),
    );
    return [values, graph.emit('Gather', [numbers, places])];
  },
  // It cuts no integers, but splits them.
  Slice(graph, { inputs: [x, starts, ends, axes, steps] }) {
    const spec = graph.specs.get(x);
    if (!spec || spec.dtype === 'float32' || steps) return undefined;
    const [from, to, along] = [starts, ends, axes].map((name) => integers(graph, name));
    return along.reduce((value, axis, i) => {
      const sizes = [from[i], to[i] - from[i], spec.shape[axis] - to[i]];
      const parts = sizes.filter((size) => size > 0);
      const split = graph.emitMany('Split', parts.length, [value, graph.ints(parts)], { axis });
      return split[sizes[0] > 0 ? 1 : 0];
    }, x);
  },
  // To the nearest, halves to the even one.
  Round(graph, { inputs: [x] }) {
    const emit = (op: string, ...inputs: string[]) => graph.emit(op, inputs);
    const floor = emit('Floor', x);
    const rest = emit('Sub', x, floor);
    const half = emit('Mul', floor, graph.scalar(0.5));
    const odd = emit('Greater', half, emit('Floor', half));
    const up = emit(
      'Where',
      odd,
      toReal(graph, emit('GreaterOrEqual', rest, graph.scalar(0.5))),
      toReal(graph, emit('Greater', rest, graph.scalar(0.5))),
    );
    return emit('Add', floor, up);
  },
  Sign(graph, { inputs: [x] }) {
    const { dtype } = graph.specs.get(x)!;
    const is = (op: string) =>
      graph.emit('Cast', [graph.emit(op, [x, graph.scalar(0, dtype)])], { to: ELEMENT_TYPE[dtype] });
    return graph.emit('Sub', [is('Greater'), is('Less')]);
  },
  Neg: (graph, { inputs: [x] }) =>
    isInteger(graph, x) ? graph.emit('Sub', [graph.scalar(0, 'int32'), x]) : undefined,
  Abs: (graph, { inputs: [x] }) =>
    isInteger(graph, x)
      ? graph.emit('Max', [x, graph.emit('Sub', [graph.scalar(0, 'int32'), x])])
      : undefined,
  Relu: (graph, { inputs: [x] }) =>
    isInteger(graph, x) ? graph.emit('Max', [x, graph.scalar(0, 'int32')]) : undefined,
  // Of integers: what a division leaves, with the divisor's sign.
  Mod(graph, { inputs: [a, b] }) {
    if (!isInteger(graph, a)) return undefined;
    const emit = (op: string, ...inputs: string[]) => graph.emit(op, inputs);
    const zero = graph.scalar(0, 'int32');
    const rest = emit('Sub', a, emit('Mul', emit('Div', a, b), b));
    const moved = emit('Add', rest, b);
    const isAbove = emit('And', emit('Greater', rest, zero), emit('Less', b, zero));
    const isBelow = emit('And', emit('Less', rest, zero), emit('Greater', b, zero));
    return emit('Where', isAbove, moved, emit('Where', isBelow, moved, rest));
  },
  ArgMax: (graph, node) => firstOf(graph, node, 'ReduceMax'),
  ArgMin: (graph, node) => firstOf(graph, node, 'ReduceMin'),
  Or(graph, { inputs }) {
    const neither = graph.emit(
      'And',
      inputs.map((name) => graph.emit('Not', [name])),
    );
    return graph.emit('Not', [neither]);
  },
};

const isInteger = (graph: Graph, name: string): boolean => graph.specs.get(name)?.dtype === 'int32';

/** The first place along an axis that has the largest, or the smallest, element: the provider's own is in 64 bits. */
function firstOf(graph: Graph, { inputs: [x], attributes }: Node, reduce: string): string | undefined {
  const spec = graph.specs.get(x);
  if (!spec) return undefined;
  const axis = attributes.axis as number;
  const count = spec.shape[axis];
  const best = graph.emit(reduce, [x, graph.ints([axis])], { keepdims: 1 });
  const shape = spec.shape.map((_, i) => (i === axis ? count : 1));
  const places = graph.constant(
    'int32',
    shape,
    Int32Array.from({ length: count }, (_, i) => i),
  );
  const found = graph.emit('Where', [
    graph.emit('Equal', [x, best]),
    places,
    graph.scalar(count - 1, 'int32'),
  ]);
  return graph.emit('ReduceMin', [found, graph.ints([axis])], { keepdims: 0 });
}

const integers = (graph: Graph, name: string): number[] =>
  Array.from(graph.constants.get(name)!.data as BigInt64Array, Number);
const toReal = (graph: Graph, name: string) => graph.emit('Cast', [name], { to: ELEMENT_TYPE.float32 });

/** With the last two axes exchanged; constant matrices are exchanged here. */
function swapped(graph: Graph, name: string): string {
  const constant = graph.constants.get(name);
  if (constant?.dtype === 'float32' && constant.shape.length === 2) {
    const [rows, columns] = constant.shape;
    return graph.constant(
      'float32',
      [columns, rows],
      transpose(constant.data as Float32Array, constant.shape),
    );
  }
  const axes = graph.specs.get(name)!.shape.map((_, i) => i);
  const [last, before] = [axes.pop()!, axes.pop()!];
  return graph.emit('Transpose', [name], { perm: [...axes, last, before] });
}
