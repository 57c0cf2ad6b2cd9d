import * as assert from 'uvu/assert';
import { seeded } from '../../../common/random.ts';
import {
  compile,
  cpuDevice,
  type Device,
  type Feeds,
  type HostTensor,
  type Inputs,
  sizeOf,
  tensorOf,
  tf,
  withRandomness,
} from '../../../engine/index.ts';

/** One compiled form of tf operations, to be compared with eager tfjs. */
export interface Case {
  name: string;
  inputs: HostTensor[];
  fn: (...inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
  /** False where tfjs knows no gradient. */
  gradient?: boolean;
  /** Largest difference, relative to 1 + |expected|; 2e-6 by default. */
  tolerance?: number;
}

interface Range {
  low?: number;
  high?: number;
  seed?: number;
}

export function floats(shape: number[], { low = -2, high = 2, seed = 1 }: Range = {}): HostTensor {
  const random = seeded('floats', seed, ...shape);
  const data = Float32Array.from({ length: sizeOf(shape) }, () => low + (high - low) * random.uniform());
  return { dtype: 'float32', shape, data };
}

/** Integers in [low, high). */
export function ints(shape: number[], { low = -9, high = 10, seed = 1 }: Range = {}): HostTensor {
  const random = seeded('ints', seed, ...shape);
  const data = Int32Array.from({ length: sizeOf(shape) }, () => low + random.below(high - low));
  return { dtype: 'int32', shape, data };
}

export function bools(shape: number[], seed = 1): HostTensor {
  const { data } = ints(shape, { low: 0, high: 2, seed });
  return { dtype: 'bool', shape, data: Uint8Array.from(data) };
}

export const vector = (...values: number[]): HostTensor => ({
  dtype: 'float32',
  shape: [values.length],
  data: Float32Array.from(values),
});
export const intVector = (...values: number[]): HostTensor => ({
  dtype: 'int32',
  shape: [values.length],
  data: Int32Array.from(values),
});

export const toTensor = tensorOf;

type Named = (inputs: Inputs) => Record<string, tf.Tensor>;

/** Runs `fn` on tfjs's own cpu backend. */
export function eagerly(fn: Named, feeds: Feeds): Record<string, HostTensor> {
  const results: Record<string, HostTensor> = {};
  tf.tidy(() => {
    const inputs = Object.fromEntries(Object.entries(feeds).map(([name, t]) => [name, toTensor(t)]));
    const outputs = Object.entries(withRandomness({ seed: 0, step: 0 }, () => fn(inputs)));
    for (const [name, t] of outputs) {
      const data = t.dataSync().slice() as HostTensor['data'];
      results[name] = { dtype: t.dtype as HostTensor['dtype'], shape: t.shape, data };
    }
  });
  return results;
}

export const DEVICES: Device[] = [1, 2].map((threads) => cpuDevice({ threads }));

/** Checks that `fn`, compiled with one and with two threads, gives what it gives eagerly (or what is expected). */
export async function agrees(
  fn: Named,
  feeds: Feeds,
  tolerance = 2e-6,
  expected = eagerly(fn, feeds),
  devices = DEVICES,
): Promise<void> {
  for (const device of devices) {
    const compiled = compile(fn, { device });
    const actual = await compiled(feeds);
    try {
      assert.equal(Object.keys(actual), Object.keys(expected));
      for (const name of Object.keys(expected)) close(actual[name], expected[name], tolerance, name);
    } finally {
      await compiled.close();
    }
  }
}

/** Checks type, shape and elements; not-a-number equals itself. */
export function close(actual: HostTensor, expected: HostTensor, tolerance: number, what = ''): void {
  assert.is(actual.dtype, expected.dtype, `${what}: type`);
  assert.equal([...actual.shape], [...expected.shape], `${what}: shape`);
  assert.is(actual.data.length, expected.data.length, `${what}: length`);
  for (let i = 0; i < expected.data.length; i++) {
    const [a, b] = [actual.data[i], expected.data[i]];
    if (Object.is(a, b) || Math.abs(a - b) <= tolerance * (1 + Math.abs(b))) continue;
    if (a === b) continue;
    assert.unreachable(`${what}[${i}] is ${a}, expected ${b}`);
  }
}

/** A case's outputs and, for the sum of its outputs and for a weighted sum, its gradients. */
export function withGradients({ fn, inputs, gradient = true }: Case): Named {
  const differentiable = inputs.map((t, i) => (t.dtype === 'float32' ? i : -1)).filter((i) => i >= 0);
  return (given) => {
    const all = inputs.map((_, i) => given[`x${i}`]);
    const outputs = [fn(...all)].flat();
    const results: Record<string, tf.Tensor> = Object.fromEntries(outputs.map((y, i) => [`y${i}`, y]));
    if (!gradient || !differentiable.length) return results;
    const loss =
      (weigh: (y: tf.Tensor, i: number) => tf.Tensor) =>
      (...xs: tf.Tensor[]) => {
        const args = [...all];
        differentiable.forEach((position, i) => {
          args[position] = xs[i];
        });
        const real = [fn(...args)].flat().filter((y) => y.dtype === 'float32');
        return real.map((y, i) => tf.sum(weigh(y, i))).reduce((a, b) => tf.add(a, b));
      };
    const at = differentiable.map((i) => all[i]);
    const losses = {
      sum: loss((y) => y),
      weighted: loss((y, i) => tf.mul(y, toTensor(floats(y.shape, { seed: 99 + i })))),
    };
    for (const [name, f] of Object.entries(losses))
      tf.grads(f)(at).forEach((g, i) => {
        results[`${name}/dx${differentiable[i]}`] = g;
      });
    return results;
  };
}

/** Checks several cases in one compiled graph: making a session costs more than running it. */
export async function agreeWithEager(cases: Case[], devices = DEVICES): Promise<void> {
  const feeds: Feeds = {};
  for (const c of cases)
    c.inputs.forEach((t, i) => {
      feeds[`${c.name}: x${i}`] = t;
    });
  const fn = (inputs: Inputs) => {
    const results: Record<string, tf.Tensor> = {};
    for (const c of cases) {
      const own = Object.fromEntries(c.inputs.map((_, i) => [`x${i}`, inputs[`${c.name}: x${i}`]]));
      for (const [name, y] of Object.entries(named(c.name, () => withGradients(c)(own))))
        results[`${c.name}: ${name}`] = y;
    }
    return results;
  };
  const tolerance = Math.max(...cases.map((c) => c.tolerance ?? 2e-6));
  await agrees(fn, feeds, tolerance, undefined, devices);
}

function named<T>(name: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new Error(`${name}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}
