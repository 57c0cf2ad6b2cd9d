import type { TensorInfo } from '@tensorflow/tfjs';
import type { HostTensor, RandomInput } from './graph.ts';
import { drawRandom, type Randomness } from './random.ts';
import { tf } from './tf.ts';

// Our ops on tfjs's own 'cpu' backend, in plain loops: eager models run, and the compiler has an oracle.

let current: Randomness & { stream: number } = { seed: 0, step: 0, stream: 0 };

/** Runs an eager model function at a place of the random sequence: its masks are those of the compiled step. */
export function withRandomness<T>(at: Randomness, run: () => T): T {
  const outer = current;
  current = { ...at, stream: 0 };
  try {
    return run();
  } finally {
    current = outer;
  }
}

/** Draws the next random input of the eager function that runs. */
export function nextRandom(
  input: Omit<RandomInput, 'name' | 'stream'>,
  draw: (input: Omit<RandomInput, 'name'>, at: Randomness) => HostTensor,
): HostTensor {
  return draw({ ...input, stream: current.stream++ }, current);
}

interface CpuBackend {
  makeTensorInfo(shape: readonly number[], dtype: string, values?: Float32Array): TensorInfo;
}
const valuesOf = (t: TensorInfo) => tf.engine().readSync(t.dataId) as Float32Array;

function register(
  kernelName: string,
  compute: (
    inputs: Record<string, TensorInfo>,
    attrs: unknown,
    make: CpuBackend['makeTensorInfo'],
  ) => TensorInfo | TensorInfo[],
): void {
  tf.registerKernel({
    kernelName,
    backendName: 'cpu',
    kernelFunc: ({ inputs, attrs, backend }) => {
      const cpu = backend as unknown as CpuBackend;
      return compute(inputs as Record<string, TensorInfo>, attrs, (shape, dtype, values) =>
        cpu.makeTensorInfo(shape, dtype, values),
      );
    },
  });
}

register('RandomInput', (_, attrs, make) => {
  const { data, shape } = nextRandom(attrs as RandomInput, drawRandom);
  return make(shape, 'float32', data as Float32Array);
});

register('LayerNorm', ({ x, scale, offset }, attrs, make) => {
  const { epsilon } = attrs as { epsilon: number };
  const [values, gain, shift] = [x, scale, offset].map(valuesOf);
  const d = x.shape.at(-1)!;
  const rows = values.length / d;
  const y = new Float32Array(values.length);
  const mean = new Float32Array(rows);
  const inverse = new Float32Array(rows);
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let i = r * d; i < (r + 1) * d; i++) sum += values[i];
    let variance = 0;
    for (let i = r * d; i < (r + 1) * d; i++) variance += (values[i] - sum / d) ** 2;
    mean[r] = sum / d;
    inverse[r] = 1 / Math.sqrt(variance / d + epsilon);
    for (let j = 0; j < d; j++)
      y[r * d + j] = (values[r * d + j] - mean[r]) * inverse[r] * gain[j] + shift[j];
  }
  const reduced = [...x.shape.slice(0, -1), 1];
  return [make(x.shape, 'float32', y), make(reduced, 'float32', mean), make(reduced, 'float32', inverse)];
});

/** A function of an element and the normal distribution's integral up to it. */
const withCdf =
  (f: (v: number, cdf: number) => number): Parameters<typeof register>[1] =>
  ({ x }, _, make) => {
    const cdf = tf.tidy(() => {
      const t = tf.tensor(valuesOf(x), x.shape);
      return tf.mul(tf.add(tf.erf(tf.mul(t, Math.SQRT1_2)), 1), 0.5).dataSync() as Float32Array;
    });
    return make(
      x.shape,
      'float32',
      valuesOf(x).map((v, i) => f(v, cdf[i])),
    );
  };
register(
  'Gelu',
  withCdf((v, cdf) => v * cdf),
);
register(
  'GeluSlope',
  withCdf((v, cdf) => cdf + (v * Math.exp(-0.5 * v * v)) / Math.sqrt(2 * Math.PI)),
);

register('HardSigmoid', ({ x }, attrs, make) => {
  const { slope, offset } = attrs as { slope: number; offset: number };
  const clipped = valuesOf(x).map((v) => Math.min(Math.max(Math.fround(slope * v) + offset, 0), 1));
  return make(x.shape, 'float32', clipped);
});

register('GatherElements', ({ x, indices }, _, make) => {
  const [rows, columns] = x.shape;
  const k = indices.shape[1];
  const [values, index] = [valuesOf(x), valuesOf(indices)];
  const out = new Float32Array(rows * k);
  for (let r = 0; r < rows; r++)
    for (let j = 0; j < k; j++) out[r * k + j] = values[r * columns + index[r * k + j]];
  return make(indices.shape, 'float32', out);
});

register('GemmAccumulate', ({ a, b, c }, attrs, make) => {
  const { transposeA, transposeB } = attrs as { transposeA: boolean; transposeB: boolean };
  const sum = tf.tidy(() => {
    const [left, right, start] = [a, b, c].map((t) => tf.tensor(valuesOf(t), t.shape as [number, number]));
    return tf.add(tf.matMul(left, right, transposeA, transposeB), start).dataSync() as Float32Array;
  });
  return make([a.shape[transposeA ? 1 : 0], b.shape[transposeB ? 0 : 1]], 'float32', sum);
});

register('SoftmaxAttention', ({ q, k, v }, _, make) => {
  const mixed = tf.tidy(() => {
    const [queries, keys, values] = [q, k, v].map((t) =>
      tf.tensor2d(valuesOf(t), t.shape as [number, number]),
    );
    return tf.matMul(tf.softmax(tf.matMul(queries, keys, false, true)), values).dataSync() as Float32Array;
  });
  return make([q.shape[0], v.shape[1]], 'float32', mixed);
});
