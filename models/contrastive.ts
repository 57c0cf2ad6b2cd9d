import { tf } from '../engine/index.ts';

/**
 * InfoNCE with in-batch negatives, sum_i weight_i * -log softmax_j(a_i . b_j / temperature)[i]. Rows with the same target
 * as i, and rows that only fill the batch (weight 0), are not negatives of i.
 * @param a [batch, d], @param b [batch, d]: rows of length one
 * @param targetIds [batch] int32, @param weight [batch] float32
 */
export function contrastiveLoss(
  a: tf.Tensor2D,
  b: tf.Tensor2D,
  targetIds: tf.Tensor1D,
  weight: tf.Tensor1D,
  temperature: number,
): tf.Scalar {
  const n = a.shape[0];
  const itself = tf.oneHot(
    tf.tensor1d(
      Int32Array.from({ length: n }, (_, i) => i),
      'int32',
    ),
    n,
  ) as tf.Tensor2D;
  const same = tf.cast(tf.equal(tf.expandDims(targetIds, 1), tf.expandDims(targetIds, 0)), 'float32');
  const filling = tf.cast(tf.equal(tf.expandDims(weight, 0), 0), 'float32');
  const excluded = tf.mul(tf.maximum(same, filling), tf.sub(1, itself));
  const logits = tf.sub(tf.div(tf.matMul(a, b, false, true), temperature), tf.mul(excluded, 1e9));
  const own = tf.sum(tf.mul(tf.logSoftmax(logits), tf.cast(itself, 'float32')), 1);
  return tf.neg(tf.sum(tf.mul(own, weight))) as tf.Scalar;
}
