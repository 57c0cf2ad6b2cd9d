import type { Graph, Node, RandomInput } from '../../graph.ts';
import { ONNX_TYPE } from '../../kernels/register.ts';
import { transpose } from '../../transpose.ts';
import { drawInGraph } from './random.ts';

/**
 * Rewrites, before `finish()`, what onnxruntime's WebGPU provider leaves to the processor, in operations that it has, and
 * random inputs in hashes. Integers other than indices are left as they are.
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

/** Emits what takes a node's place; gives the values that take that of its outputs. */
type Rewrite = (graph: Graph, node: Node) => string | string[];

function replace(graph: Graph, rewrite: Rewrite, node: Node): void {
  const first = graph.nodes.length;
  const values = [rewrite(graph, node)].flat();
  const names = new Map(values.map((value, i) => [value, node.outputs[i]]));
  const rename = (name: string) => names.get(name) ?? name;
  for (const emitted of graph.nodes.slice(first)) {
    emitted.inputs = emitted.inputs.map(rename);
    emitted.outputs = emitted.outputs.map(rename);
  }
}

/** A shader may bind so many buffers at least: an operation's inputs and outputs. */
const BUFFERS = 8;

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
    return split(x, Array.from(graph.constants.get(sizes)!.data as BigInt64Array, Number));
  },
  // Its 64-bit places are made 32-bit ones by looking them up.
  TopK(graph, { inputs, attributes }) {
    const [values, places] = graph.emitMany('TopK', 2, inputs, attributes);
    const count = graph.shapes.get(inputs[0])!.at(attributes.axis as number)!;
    const numbers = graph.constant(
      'int32',
      [count],
      Int32Array.from({ length: count }, (_, i) => i),
    );
    return [values, graph.emit('Gather', [numbers, places])];
  },
  // Our kernels expand integers only, which the provider does not: columns of indices.
  Expand(graph, { inputs: [x, shape] }) {
    const sizes = Array.from(graph.constants.get(shape)!.data as BigInt64Array, Number);
    return graph.emit('Add', [
      x,
      graph.constant('int32', [1, ...sizes.slice(1)], new Int32Array(product(sizes))),
    ]);
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
    const is = (op: string) => toReal(graph, graph.emit(op, [x, graph.scalar(0)]));
    return graph.emit('Sub', [is('Greater'), is('Less')]);
  },
  Or(graph, { inputs }) {
    const neither = graph.emit(
      'And',
      inputs.map((name) => graph.emit('Not', [name])),
    );
    return graph.emit('Not', [neither]);
  },
};

const product = (sizes: number[]) => sizes.slice(1).reduce((a, b) => a * b, 1);
const toReal = (graph: Graph, name: string) => graph.emit('Cast', [name], { to: ONNX_TYPE.float32 });

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
  const axes = graph.shapes.get(name)!.map((_, i) => i);
  const [last, before] = [axes.pop()!, axes.pop()!];
  return graph.emit('Transpose', [name], { perm: [...axes, last, before] });
}
