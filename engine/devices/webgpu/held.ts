import type { Graph, HeldRows, Spec } from '../../graph.ts';
import { blockName, type Cuts, startsOf } from './blocks.ts';
import { BUFFERS } from './lower.ts';
import type { GpuTensor } from './runtime.ts';

// Matrices that one graph leaves on the card and another takes in: they come and go in parts of rows, as somebody made them.

/** How an input or output is called that is a part of a matrix. */
export const partName = (name: string, part: number): string => `${name} part ${part}`;

type Part = Pick<HeldRows, 'first' | 'rows'>;

/** Where the outputs that stay on the card belong. */
export type HeldOutputs = Map<string, Part & { result: string }>;

/** Rows of a value, as some of a matrix. */
interface Source {
  value: string;
  first: number;
  /** The row after the last that counts. */
  end: number;
  rows: number;
}

/** The row after the last that counts: those from where a later part begins do not. */
function endOf(parts: readonly Part[], i: number): number {
  const { first, rows } = parts[i];
  return Math.max(first, Math.min(first + rows, ...parts.slice(i + 1).map((part) => part.first)));
}

/** Lets a graph, whose large matrices are cut, read an input from its parts. */
export function takeParts(graph: Graph, name: string, parts: readonly Part[], { inputs }: Cuts): void {
  const blocks = inputs.get(name);
  const names = blocks?.map((_, i) => blockName(name, i)) ?? [name];
  const spec = graph.inputs.get(names[0]);
  if (!spec) return;
  const sizes = blocks ?? [spec.shape[0]];
  const sources = parts.map(({ first, rows }, i): Source => {
    graph.input(partName(name, i), { ...spec, shape: [rows, spec.shape[1]] });
    return { value: partName(name, i), first, rows, end: endOf(parts, i) };
  });
  const before = graph.nodes.splice(0, Infinity);
  const made = new Map(
    startsOf(sizes).map((start, i) => {
      graph.inputs.delete(names[i]);
      return [names[i], join(graph, rowsOf(graph, sources, start, start + sizes[i]))];
    }),
  );
  const rename = (value: string) => made.get(value) ?? value;
  for (const node of before) node.inputs = node.inputs.map(rename);
  graph.nodes.push(...before);
  for (const output of graph.outputs.values()) output.value = rename(output.value);
}

/**
 * Lets a result of a graph whose large matrices are cut stay on the card: in `parts`, where given (rows of a part that do not
 * count are zero), or else in the blocks that it is cut into.
 */
export function keepParts(
  graph: Graph,
  name: string,
  parts: readonly Part[] | undefined,
  { outputs }: Cuts,
): HeldOutputs {
  const kept: HeldOutputs = new Map();
  const sources: Source[] = [];
  let spec: Spec | undefined;
  for (const [output, { value, ...own }] of [...graph.outputs]) {
    const block = outputs.get(output);
    if (output !== name && block?.name !== name) continue;
    const [first, rows] = [block?.firstRow ?? 0, own.shape[0]];
    spec = own;
    sources.push({ value, first, rows, end: first + rows });
    if (parts) graph.outputs.delete(output);
    else kept.set(output, { result: name, first, rows });
  }
  if (!parts || !spec) return kept;
  const [, width] = spec.shape;
  for (const [i, { first, rows }] of parts.entries()) {
    const end = endOf(parts, i);
    const rest = first + rows - end;
    const zeros = rest ? [graph.filled([rest, width], 0, spec.dtype)] : [];
    const value = join(graph, [...rowsOf(graph, sources, first, end), ...zeros]);
    graph.output(partName(name, i), { dtype: spec.dtype, shape: [rows, width] }, value);
    kept.set(partName(name, i), { result: name, first, rows });
  }
  return kept;
}

/** Rows from `from` up to `to` of a matrix, in one or more pieces. */
function rowsOf(graph: Graph, sources: readonly Source[], from: number, to: number): string[] {
  return sources.flatMap(({ value, first, end, rows }) => {
    const [start, stop] = [Math.max(first, from), Math.min(end, to)];
    if (start >= stop) return [];
    if (stop - start === rows) return [value];
    return [graph.emit('Slice', [value, ...[start - first, stop - first, 0].map((n) => graph.ints([n]))])];
  });
}

/** Matrices below each other. */
function join(graph: Graph, values: readonly string[]): string {
  if (values.length === 1) return values[0];
  const most = BUFFERS - 1;
  const joined: string[] = [];
  for (let i = 0; i < values.length; i += most) {
    const some = values.slice(i, i + most);
    joined.push(some.length > 1 ? graph.emit('Concat', some, { axis: 0 }) : some[0]);
  }
  return join(graph, joined);
}

/** What a part is on the card. */
export const cardTensor = ({ tensor }: HeldRows): GpuTensor => tensor as GpuTensor;
