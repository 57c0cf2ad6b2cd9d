import type { Graph, Node } from './graph.ts';

/** Rows to be added to a gradient by the host: gradient[ids[r]] += updates[r]. Names are outputs of the graph. */
export interface HostScatter {
  gradient: string;
  ids: string;
  updates: string;
}

/**
 * Takes the scatter-additions that end a gradient (the gradient of a gather from a table) out of the graph: its updates
 * become outputs, which the host adds to the gradient in place. onnxruntime's ScatterElements takes an index for every
 * element and about ten times as long.
 * @returns the additions, in order; gradients that consist of nothing else are no outputs any more, and start from zero
 */
export function liftScatters(graph: Graph, gradients: readonly string[]): HostScatter[] {
  const producer = new Map<string, Node>();
  const uses = new Map<string, number>();
  const use = (name: string) => uses.set(name, (uses.get(name) ?? 0) + 1);
  for (const node of graph.nodes) {
    for (const name of node.outputs) producer.set(name, node);
    node.inputs.forEach(use);
  }
  for (const { value } of graph.outputs.values()) use(value);

  const scatters: HostScatter[] = [];
  for (const gradient of gradients) {
    const output = graph.outputs.get(gradient);
    if (!output) continue;
    for (;;) {
      const node = producer.get(output.value);
      const rows = node && rowsOf(graph, node, producer);
      if (!rows || uses.get(output.value) !== 1) break;
      const [ids, updates] = ['ids', 'updates'].map((part) => `scatter:${scatters.length}:${part}`);
      graph.output(ids, { dtype: 'int32', shape: [rows.shape[0]] }, rows.ids);
      graph.output(updates, { dtype: 'float32', shape: rows.shape }, rows.updates);
      scatters.push({ gradient, ids, updates });
      output.value = rows.base;
    }
    if (producer.get(output.value)?.op !== 'ConstantOfShape') continue;
    graph.outputs.delete(gradient);
  }
  return scatters;
}

interface Rows {
  base: string;
  ids: string;
  updates: string;
  /** [n, ...] shape of the updates. */
  shape: number[];
}

/** What a node adds to whole rows, if it does: the form that UnsortedSegmentSum and its sums have. */
function rowsOf(graph: Graph, node: Node, producer: Map<string, Node>): Rows | undefined {
  if (node.op !== 'ScatterElements' || node.attributes.axis !== 0 || node.attributes.reduction !== 'add')
    return undefined;
  const [base, indices, updates] = node.inputs;
  const expand = producer.get(indices);
  const column = expand?.op === 'Expand' ? producer.get(expand.inputs[0]) : undefined;
  const shape = expand && graph.constants.get(expand.inputs[1])?.data;
  if (column?.op !== 'Reshape' || !shape) return undefined;
  return { base, ids: column.inputs[0], updates, shape: Array.from(shape as BigInt64Array, Number) };
}

/** gradient[ids[r]] += updates[r], rows of `width` elements. */
export function addRows(gradient: Float32Array, ids: Int32Array, updates: Float32Array, width: number): void {
  for (let r = 0; r < ids.length; r++) {
    const to = ids[r] * width;
    const from = r * width;
    for (let j = 0; j < width; j++) gradient[to + j] += updates[from + j];
  }
}
