import { type Graph, type HostTensor, type RandomInput, sizeOf } from '../../graph.ts';
import { ELEMENT_TYPE } from '../../onnx.ts';
import { dropoutParameters, GOLDEN, hash32, type Randomness, SECOND, streamKey } from '../../random.ts';

// Random draws in the graph: hash32 of random.ts in unsigned 32-bit integers, bit for bit. Masks are as large as the layers
// that they drop from; what crosses to the card instead is a key for each.

/** The input that holds the keys. */
export const KEYS = 'random keys';
const UINT32 = ELEMENT_TYPE.uint32;

/** Emits all draws of a graph. @returns the value of each, by the name of its input */
export function drawInGraph(graph: Graph, inputs: readonly RandomInput[]): Map<string, string> {
  if (!inputs.length) return new Map();
  const count = 2 * inputs.length;
  graph.input(KEYS, { dtype: 'int32', shape: [count] });
  const all = graph.emit('Cast', [KEYS], { to: UINT32 });
  const keys = graph.emitMany('Split', count, [all, graph.ints(new Array(count).fill(1))], { axis: 0 });
  return new Map(
    inputs.map((input, i) => {
      const [key, second] = keys.slice(2 * i, 2 * i + 2);
      const draw = input.kind === 'dropout' ? dropout(graph, input, key) : normal(graph, input, key, second);
      return [input.name, graph.emit('Reshape', [draw, graph.ints(input.shape)])];
    }),
  );
}

/** The keys of a run: two for each input. */
export function keysOf(inputs: readonly RandomInput[], at: Randomness): HostTensor {
  const keys = inputs.map(({ stream }) => streamKey(at, stream));
  const data = Int32Array.from(keys.flatMap((key) => [key, hash32(key, SECOND)]));
  return { dtype: 'int32', shape: [data.length], data };
}

function dropout(graph: Graph, { shape, rate }: RandomInput, key: string): string {
  const { threshold, scale } = dropoutParameters(rate);
  const kept = graph.emit('GreaterOrEqual', [hash(graph, key, sidesOf(shape), 1), uint(graph, threshold)]);
  return graph.emit('Where', [kept, graph.scalar(scale), graph.scalar(0)]);
}

/** Box-Muller: the hashes of every other element give a pair of draws. */
function normal(graph: Graph, { shape }: RandomInput, key: string, second: string): string {
  const pairs = Math.ceil(sizeOf(shape) / 2);
  const sides: [number, number] = [pairs, 1];
  const real = (key: string) =>
    graph.emit('Cast', [hash(graph, key, sides, 2)], { to: ELEMENT_TYPE.float32 });
  const scaled = (x: string, factor: number) => graph.emit('Mul', [x, graph.scalar(factor)]);
  const u = scaled(graph.emit('Add', [real(key), graph.scalar(1)]), 2 ** -32);
  const radius = graph.emit('Sqrt', [scaled(graph.emit('Log', [u]), -2)]);
  const angle = scaled(real(second), (2 * Math.PI) / 2 ** 32);
  const draws = ['Cos', 'Sin'].map((op) => graph.emit('Mul', [radius, graph.emit(op, [angle])]));
  const all = graph.emit('Reshape', [graph.emit('Concat', draws, { axis: 1 }), graph.ints([2 * pairs])]);
  const odd = sizeOf(shape) % 2 === 1;
  return odd
    ? graph.emit('Slice', [all, graph.ints([0]), graph.ints([2 * pairs - 1]), graph.ints([0])])
    : all;
}

/** hash32(key, step x i) for i = 0, 1, ... in the shape [rows, columns]. */
function hash(graph: Graph, key: string, [rows, columns]: [number, number], step: number): string {
  const emit = (op: string, a: string, b: string) => graph.emit(op, [a, b]);
  const counters = (count: number, by: number, shape: number[]) => {
    const data = Uint32Array.from({ length: count }, (_, i) =>
      Math.imul(Math.imul(i, by), Math.imul(step, GOLDEN)),
    );
    return graph.constant('uint32', shape, data);
  };
  const down = counters(rows, columns, [rows, 1]);
  let h = emit('Add', emit('Add', down, key), counters(columns, 1, [1, columns]));
  const permute = (h: string) => emit('Mul', h, emit('Add', emit('Add', h, h), uint(graph, 1)));
  const fold = (h: string) => emit('Add', h, emit('Div', h, uint(graph, 2 ** 16)));
  h = permute(h);
  h = emit('Add', fold(h), key);
  return fold(permute(h));
}

/** Two factors of a shape's size, as near to each other as its axes allow: counters of one broadcast over the other. */
function sidesOf(shape: readonly number[]): [number, number] {
  const size = sizeOf(shape);
  let columns = 1;
  for (let axis = shape.length - 1; axis >= 0 && columns * columns < size; axis--) columns *= shape[axis];
  return [size / columns, columns];
}

const uint = (graph: Graph, value: number) => graph.constant('uint32', [], Uint32Array.of(value));
