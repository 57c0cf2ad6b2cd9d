import { customGradient, LEAST_PROBABILITY, tf } from '../engine/index.ts';
import type { Criterion } from './objective.ts';

const EXCLUDED = -1e9;

/**
 * Softmax cross-entropy of every target against negatives that all rows share (Bengio and Senecal, 2008): with
 * offsets -log(expected count), the negatives' exponentials sum to an unbiased estimate of those of all items.
 * A negative that is a row's own target does not count in that row.
 *
 * Inputs besides queries [targets, d] and candidates [items, d], all places among the candidates:
 * `target` [targets], `negatives` [negatives]; `offsets` [negatives]; `weight` [targets].
 */
export const sampledSoftmax: Criterion = (queries, candidates, inputs) => {
  const { target, negatives, offsets, weight } = inputs as Record<string, tf.Tensor1D>;
  const score = tf.sum(tf.mul(queries, tf.gather(candidates, target)), 1, true);
  const others = tf.matMul(queries, tf.gather(candidates, negatives), false, true);
  const column = tf.expandDims(weight, 1);
  const itself = tf.equal(tf.expandDims(target, 1), tf.expandDims(negatives, 0));
  const [rows, count] = others.shape;
  return customGradient([score, others], (inputs) => {
    const [score, others] = inputs as tf.Tensor2D[];
    // onnxruntime's Where takes five times as long.
    const open = tf.add(tf.mul(tf.cast(itself, 'float32'), EXCLUDED), tf.add(others, offsets));
    const p = tf.softmax(tf.concat([score, open], 1));
    const hit = tf.slice(p, [0, 0], [rows, 1]);
    const gradient = (dy: tf.Tensor, [p, hit, column]: tf.Tensor[]) => {
      const scale = tf.mul(column, dy);
      return [tf.mul(tf.sub(hit, 1), scale), tf.mul(tf.slice(p, [0, 1], [rows, count]), scale)];
    };
    const loss = tf.neg(tf.sum(tf.mul(tf.log(tf.maximum(hit, LEAST_PROBABILITY)), column)));
    return { value: loss, saved: [p, hit, column], gradient };
  }) as tf.Scalar;
};
