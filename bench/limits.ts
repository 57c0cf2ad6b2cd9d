import { availableParallelism } from 'node:os';
import { compile, type HostTensor, tf } from '../engine/index.ts';
import { type Bench, type BenchRow, type BenchTable, round } from './bench.ts';
import { findTorch, TORCH_MISSING, type Torch, TorchProcess } from './peers/torch.ts';

/** [m, k, n] of the products tried. */
const SHAPES = [
  [1024, 1024, 1024],
  [2048, 512, 2048],
  [2048, 2048, 512],
  [4096, 1024, 1024],
] as const;
/** Of each shape; the first ones warm up, and the fastest counts. */
const REPEATS = 15;

/** The best float32 matrix products of this machine, in GFLOP/s. */
export interface Limits {
  engine: number;
  /** Undefined without PyTorch. */
  mkl?: number;
  /** The larger of both: what no step can surpass. */
  best: number;
  /** A row a shape. */
  table: BenchTable;
}

type Shape = (typeof SHAPES)[number];

/** Measures products of several shapes with the engine and, where there is one, with PyTorch's library. */
export async function productLimits(threads: number, torch: Torch | undefined): Promise<Limits> {
  const rows: BenchRow[] = [];
  const rates: { engine: number; mkl: number }[] = [];
  const peer = torch && new TorchProcess(torch, './torch_products.py', { threads });
  for (const shape of SHAPES) {
    const rate = (ms: number[]) => (2 * shape[0] * shape[1] * shape[2]) / Math.min(...ms) / 1e6;
    // The peer first: its start-up, which its first answer waits for, must not share the cores with a measurement.
    const mkl = peer ? rate((await peer.ask<{ ms: number[] }>({ shape, repeats: REPEATS })).ms) : 0;
    const engine = rate(await engineTimes(shape, threads));
    rates.push({ engine, mkl });
    rows.push({
      'm x k x n': shape.join(' x '),
      'engine GFLOP/s': round(engine, 0),
      ...(torch && { 'PyTorch GFLOP/s': round(mkl, 0) }),
    });
  }
  await peer?.close();
  const engine = Math.max(...rates.map((r) => r.engine));
  const mkl = torch && Math.max(...rates.map((r) => r.mkl));
  const best = Math.max(engine, mkl ?? 0);
  const notes = [
    `best: engine ${round(engine, 0)}, ${torch ? `PyTorch ${torch.version} ${round(mkl!, 0)}` : TORCH_MISSING}`,
  ];
  const title = `float32 matrix products, ${threads} threads, fastest of ${REPEATS}`;
  return { engine, mkl, best, table: { title, rows, notes } };
}

/**
 * Milliseconds of [m, k] x [k, n] in the engine. The graph gives out the sum of one row only: onnxruntime-node copies every
 * output into a new array, which for the whole product would cost as much as a part of it.
 */
async function engineTimes([m, k, n]: Shape, threads: number): Promise<number[]> {
  const product = compile(
    ({ a, b }) => ({ sum: tf.sum(tf.slice(tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D), [0, 0], [1, n])) }),
    { threads },
  );
  const feeds = { a: matrix(m, k), b: matrix(k, n) };
  const times: number[] = [];
  for (let i = 0; i < REPEATS; i++) {
    const started = performance.now();
    await product(feeds);
    times.push(performance.now() - started);
  }
  await product.close();
  return times.slice(1);
}

const matrix = (rows: number, columns: number): HostTensor => ({
  dtype: 'float32',
  shape: [rows, columns],
  data: Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i)),
});

export const limits: Bench = {
  name: 'limits',
  describe: "this machine's best matrix products: what limits a training step (option: threads)",
  async run([threads]) {
    return [(await productLimits(Number(threads ?? availableParallelism()), findTorch())).table];
  },
};
