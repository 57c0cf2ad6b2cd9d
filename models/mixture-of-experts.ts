import { dropout, noise, normal, type Parameters, tf, zeros } from '../engine/index.ts';
import type { Mode } from './contract.ts';

interface AdaptorConfig {
  experts: number;
  hiddenSize: number;
  adaptorDropout: number;
  adaptor: 'shared' | 'separate';
}

/**
 * sum_k gate_k(x) W_k (dropout(x) - b_k), [rows, text] -> [rows, hidden] (Hou et al., eq. 2-4). The gate logits get
 * learned Gaussian noise in training.
 */
export function mixtureOfExperts(
  p: Parameters,
  textDims: number,
  { experts, hiddenSize, adaptorDropout, adaptor }: AdaptorConfig,
) {
  // All experts' matrices side by side: one product serves them all.
  const weight = p.create(
    'adaptor.weight',
    [textDims, experts * hiddenSize],
    normal(0.02),
  ) as tf.Tensor as tf.Tensor2D;
  const shift = p.create('adaptor.shift', [experts, textDims], zeros);
  const gate = p.create('adaptor.gate', [textDims, experts], zeros);
  const gateNoise = p.create('adaptor.gate_noise', [textDims, experts], zeros);
  const columns = (t: tf.Tensor, k: number, rows: number) =>
    tf.slice(t, [0, k * hiddenSize], [rows, hiddenSize]);

  return (x: tf.Tensor2D, { training }: Mode): tf.Tensor2D => {
    const rows = x.shape[0];
    let logits: tf.Tensor = tf.matMul(x, gate as tf.Tensor as tf.Tensor2D);
    if (training) {
      const scale = tf.add(tf.softplus(tf.matMul(x, gateNoise as tf.Tensor as tf.Tensor2D)), 0.01);
      logits = tf.add(logits, tf.mul(noise([rows, experts]), scale));
    }
    const gates = tf.softmax(logits);
    let mixed: tf.Tensor;
    if (training && adaptor === 'separate') {
      const each = Array.from({ length: experts }, (_, k) => {
        const projected = tf.matMul(dropout(x, adaptorDropout), columns(weight, k, textDims) as tf.Tensor2D);
        return tf.mul(projected, tf.slice(gates, [0, k], [rows, 1]));
      });
      mixed = tf.addN(each);
    } else {
      const dropped = training ? dropout(x, adaptorDropout) : x;
      const projected = tf.reshape(tf.matMul(dropped, weight), [rows, experts, hiddenSize]);
      mixed = tf.reshape(tf.matMul(tf.reshape(gates, [rows, 1, experts]), projected), [rows, hiddenSize]);
    }
    // W_k b_k is the same for every row: all pairs (b_j, W_k) in one small product, of which the diagonal is wanted.
    const pairs = tf.reshape(tf.matMul(shift as tf.Tensor as tf.Tensor2D, weight), [
      experts,
      experts,
      hiddenSize,
    ]);
    const shifts = tf.sum(tf.mul(pairs, tf.expandDims(tf.eye(experts), 2)), 1);
    return tf.sub(mixed, tf.matMul(gates as tf.Tensor2D, shifts as tf.Tensor2D));
  };
}
