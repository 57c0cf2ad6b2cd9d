import type { TensorInfo } from '@tensorflow/tfjs';
import { UserError } from '../common/errors.ts';
import { customGradient } from './custom-gradient.ts';
import './kernels/index.ts';
import './eager.ts';
import './gradients.ts';
import { sizeOf } from './graph.ts';
import { tf } from './tf.ts';

/** Runs a kernel of our own, registered for the tracer and for tfjs's 'cpu' backend. */
export function runKernel<T extends tf.Tensor | tf.Tensor[]>(
  name: string,
  inputs: Record<string, tf.Tensor>,
  attrs: object = {},
): T {
  return tf
    .engine()
    .runKernel(
      name,
      inputs as unknown as Record<string, TensorInfo> as never,
      attrs as never,
    ) as unknown as T;
}

/**
 * Inverted dropout: elements are zeroed with probability `rate`, the others divided by 1 - rate. The mask is a function
 * of (seed, step, place of the call in the model), the same on every device; call it in training only.
 */
export function dropout<T extends tf.Tensor>(x: T, rate: number): T {
  if (!(rate >= 0 && rate < 1)) throw new UserError(`a dropout rate of ${rate} is not in [0, 1)`);
  if (rate === 0) return x;
  return tf.mul(x, runKernel<tf.Tensor>('RandomInput', {}, { kind: 'dropout', shape: x.shape, rate })) as T;
}

/** Standard normal noise of `shape`, fresh at every step, from the same counter-based generator as dropout. */
export function noise(shape: readonly number[]): tf.Tensor {
  return runKernel<tf.Tensor>('RandomInput', {}, { kind: 'normal', shape: [...shape], rate: 0 });
}

/** Layer normalisation over the last axis: (x - mean) / sqrt(variance + epsilon) * scale + offset. */
export function layerNorm<T extends tf.Tensor>(
  x: T,
  scale: tf.Tensor,
  offset: tf.Tensor,
  epsilon = 1e-12,
): T {
  return customGradient([x, scale, offset], ([x, scale, offset]) => {
    const [value, mean, inverse] = runKernel<tf.Tensor[]>('LayerNorm', { x, scale, offset }, { epsilon });
    const gradient = (dy: tf.Tensor, [x, scale, mean, inverse]: tf.Tensor[]) => {
      const leading = x.shape.map((_, i) => i).slice(0, -1);
      const normalised = tf.mul(tf.sub(x, mean), inverse);
      const scaled = tf.mul(dy, scale);
      const centre = tf.mean(scaled, -1, true);
      const slope = tf.mean(tf.mul(scaled, normalised), -1, true);
      const dx = tf.mul(tf.sub(tf.sub(scaled, centre), tf.mul(normalised, slope)), inverse);
      return [dx, tf.sum(tf.mul(dy, normalised), leading), tf.sum(dy, leading)];
    };
    return { value, saved: [x, scale, mean, inverse], gradient };
  }) as T;
}

/** Gaussian error linear unit, exact: x * Phi(x) (Hendrycks and Gimpel, 2016), not the tanh approximation. */
export function gelu<T extends tf.Tensor>(x: T): T {
  return customGradient([x], ([x]) => ({
    value: runKernel<tf.Tensor>('Gelu', { x }),
    saved: [x],
    gradient: (dy, [x]) => [tf.mul(dy, runKernel<tf.Tensor>('GeluSlope', { x }))],
  })) as T;
}

/** min(max(slope * x + offset, 0), 1), in one pass over x; it has no gradient. */
export function hardSigmoid<T extends tf.Tensor>(x: T, slope: number, offset: number): T {
  return runKernel<T>('HardSigmoid', { x }, { slope, offset });
}

/** Rows scaled to length one. A zero row stays zero and passes no gradient back (its direction is undefined). */
export function l2Normalize<T extends tf.Tensor>(x: T): T {
  const tiny = 1e-12;
  return customGradient([x], ([x]) => {
    const squares = tf.sum(tf.square(x), -1, true);
    const inverse = tf.mul(tf.rsqrt(tf.maximum(squares, tiny)), tf.step(tf.sub(squares, tiny)));
    const value = tf.mul(x, inverse);
    const gradient = (dy: tf.Tensor, [y, inverse]: tf.Tensor[]) => {
      const along = tf.sum(tf.mul(y, dy), -1, true);
      return [tf.mul(tf.sub(dy, tf.mul(y, along)), inverse)];
    };
    return { value, saved: [value, inverse], gradient };
  }) as T;
}

/** x [..., in] times w [in, out] plus an optional bias, as one 2-D product. */
export function linear(x: tf.Tensor, w: tf.Tensor2D, bias?: tf.Tensor): tf.Tensor {
  const inner = x.shape.at(-1)!;
  const flat = x.rank === 2 ? x : tf.reshape(x, [sizeOf(x.shape) / inner, inner]);
  let y: tf.Tensor = tf.matMul(flat as tf.Tensor2D, w);
  if (bias) y = tf.add(y, bias);
  return x.rank === 2 ? y : tf.reshape(y, [...x.shape.slice(0, -1), w.shape[1]]);
}

/** a.b + c in one node, a or b transposed, c [rows, columns] or [columns]; it has no gradient. */
export function gemm(
  a: tf.Tensor,
  b: tf.Tensor,
  c: tf.Tensor,
  { transposeA = false, transposeB = false } = {},
): tf.Tensor2D {
  return runKernel<tf.Tensor2D>('GemmAccumulate', { a, b, c }, { transposeA, transposeB });
}
