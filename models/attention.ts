import { dropout, linear, normal, type Parameters, tf, zeros } from '../engine/index.ts';

/** BERT's initialisation, used by SASRec and UniSRec. */
export const INITIAL_STD = 0.02;

/** The rows whose last position alone is wanted. */
export interface LastRows {
  /** [batch] int32 flat positions (row x length + lengths - 1) of the last items. */
  rows: tf.Tensor1D;
  /** [batch] int32 number of items in each row. */
  lengths: tf.Tensor1D;
}

export interface AttentionConfig {
  hiddenSize: number;
  heads: number;
  attentionDropout: number;
}

/**
 * Causal multi-head attention (Vaswani et al., 2017) without its output projection. Keys get no bias: one that is the same
 * for all keys cannot change a softmax. The parameter is there all the same, as checkpoints have it; its gradient is zero.
 * @returns (x [batch, length, d]) => [batch x length, d], or [batch, d] with `only`
 */
export function attention(
  p: Parameters,
  name: string,
  { hiddenSize: d, heads, attentionDropout }: AttentionConfig,
) {
  const width = d / heads;
  const weight = (part: string) =>
    p.create(`${name}.${part}.weight`, [d, d], normal(INITIAL_STD)) as tf.Tensor as tf.Tensor2D;
  const bias = (part: string) => p.create(`${name}.${part}.bias`, [d], zeros);
  const [queryWeight, queryBias] = [weight('query'), bias('query')];
  const [keyWeight] = [weight('key'), bias('key')];
  const [valueWeight, valueBias] = [weight('value'), bias('value')];

  /** Scaling the weights scales the logits, which are many more. */
  const query = (x: tf.Tensor) => {
    const scale = 1 / Math.sqrt(width);
    return linear(x, tf.mul(queryWeight, scale) as tf.Tensor2D, tf.mul(queryBias, scale));
  };
  const weigh = (logits: tf.Tensor, mask: tf.Tensor, training: boolean) => {
    const weights = tf.softmax(tf.add(logits, mask));
    return training ? dropout(weights, attentionDropout) : weights;
  };

  const everyPosition = (x: tf.Tensor3D, training: boolean) => {
    const [batch, length] = x.shape;
    const flat = tf.reshape(x, [batch * length, d]);
    // [batch, heads, length, width]
    const split = (t: tf.Tensor) => tf.transpose(tf.reshape(t, [batch, length, heads, width]), [0, 2, 1, 3]);
    const logits = tf.matMul(split(query(flat)), split(linear(flat, keyWeight)), false, true);
    const weights = weigh(logits, causalMask(length), training);
    const mixed = tf.matMul(weights, split(linear(flat, valueWeight, valueBias)));
    return tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [batch * length, d]);
  };

  /**
   * One query a row: neither keys nor values of all positions are needed. q . (x K) = (q K^T) . x, and a weighted mean of
   * x V is the weighted mean of x, times V; the value's bias comes as often as weights were not dropped.
   */
  const lastPosition = (x: tf.Tensor3D, last: tf.Tensor2D, { lengths }: LastRows, training: boolean) => {
    const [batch, length] = x.shape;
    const byHead = (t: tf.Tensor, rows: number) =>
      tf.transpose(tf.reshape(t, [rows, heads, t.size / rows / heads]), [1, 0, 2]);
    const q = tf.matMul(byHead(query(last), batch), byHead(keyWeight, d), false, true); // [heads, batch, d]
    const logits = tf.matMul(tf.transpose(q, [1, 0, 2]), x, false, true); // [batch, heads, length]
    const weights = weigh(logits, beyond(lengths, length), training);
    const context = tf.transpose(tf.matMul(weights, x), [1, 0, 2]);
    const mixed = tf.transpose(tf.matMul(context, byHead(valueWeight, d)), [1, 0, 2]); // [batch, heads, width]
    const shift = tf.mul(tf.sum(weights, -1, true), tf.reshape(valueBias, [heads, width]));
    return tf.reshape(tf.add(mixed, shift), [batch, d]);
  };

  return (x: tf.Tensor3D, training: boolean, last?: LastRows & { vectors: tf.Tensor2D }): tf.Tensor =>
    last ? lastPosition(x, last.vectors, last, training) : everyPosition(x, training);
}

/** [1, 1, length, length] to be added to logits: position i sees positions up to i. Padding comes last: none sees it. */
function causalMask(length: number): tf.Tensor {
  const values = new Float32Array(length * length);
  for (let i = 0; i < length; i++) for (let j = i + 1; j < length; j++) values[i * length + j] = -1e9;
  return tf.tensor(values, [1, 1, length, length]);
}

/** [batch, 1, length] to be added to logits: the last position of a row sees all real positions of the row. */
function beyond(lengths: tf.Tensor1D, length: number): tf.Tensor {
  const index = tf.tensor(
    Int32Array.from({ length }, (_, j) => j),
    [1, length],
    'int32',
  );
  const padding = tf.greaterEqual(index, tf.reshape(lengths, [-1, 1]));
  return tf.expandDims(tf.mul(tf.cast(padding, 'float32'), -1e9), 1);
}
