import { cpuDevice, Graph } from '../engine/index.ts';

/** How weights become integers: from -levels to levels. */
export interface Quantisation {
  levels: 127 | 63;
}

/** A matrix [rows, columns] as integers times a scale of its own for every column. */
export function quantiseColumns(
  values: Float32Array,
  columns: number,
  { levels }: Quantisation,
): { integers: Int8Array; scales: Float32Array } {
  const scales = new Float32Array(columns);
  for (let row = 0; row < values.length; row += columns)
    for (let c = 0; c < columns; c++) scales[c] = Math.max(scales[c], Math.abs(values[row + c]));
  for (let c = 0; c < columns; c++) scales[c] = scales[c] / levels || 1;
  const integers = new Int8Array(values.length);
  for (let row = 0; row < values.length; row += columns)
    for (let c = 0; c < columns; c++) integers[row + c] = Math.round(values[row + c] / scales[c]);
  return { integers, scales };
}

/**
 * How many levels this machine's 8-bit products bear. Processors without VNNI add pairs of products in 16 bits, which
 * overflow where both factors are large: there weights get 7 bits.
 */
export async function machineQuantisation(): Promise<Quantisation> {
  const [size, extreme] = [64, 127];
  const graph = new Graph();
  graph.input('x', { dtype: 'float32', shape: [1, size] });
  const [bytes, scale, zero] = graph.emitMany('DynamicQuantizeLinear', 3, ['x']);
  const weight = graph.constant('int8', [size, 1], new Int8Array(size).fill(extreme));
  const inputs = [bytes, weight, scale, graph.scalar(1), zero];
  const product = graph.emit('MatMulIntegerToFloat', inputs, {}, 'com.microsoft');
  graph.output('y', { dtype: 'float32', shape: [1, 1] }, product);
  graph.finish();
  const executable = await cpuDevice({ threads: 1 }).load(graph);
  const shape = [1, size];
  const y = new Float32Array(1);
  const x = { dtype: 'float32' as const, shape, data: new Float32Array(size).fill(255) };
  const results = { y: { dtype: 'float32' as const, shape: [1, 1], data: y } };
  await executable.run({ x }, results, { seed: 0, step: 0 });
  await executable.release();
  return { levels: Math.abs(y[0] - 255 * size * extreme) < 1 ? 127 : 63 };
}
