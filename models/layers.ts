import {
  dropout,
  gelu,
  layerNorm,
  linear,
  normal,
  ones,
  type Parameters,
  tf,
  zeros,
} from '../engine/index.ts';
import type { History, Mode } from './contract.ts';

/** BERT's initialisation, used by SASRec and UniSRec. */
const INITIAL_STD = 0.02;
const EPSILON = 1e-12;

/** A dense layer [in] -> [out], weights N(0, 0.02), bias 0. */
export function dense(p: Parameters, name: string, from: number, to: number): (x: tf.Tensor) => tf.Tensor {
  const weight = p.create(`${name}.weight`, [from, to], normal(INITIAL_STD)) as tf.Tensor as tf.Tensor2D;
  const bias = p.create(`${name}.bias`, [to], zeros);
  return (x) => linear(x, weight, bias);
}

/** Layer normalisation over `size` features. */
export function norm(p: Parameters, name: string, size: number): (x: tf.Tensor) => tf.Tensor {
  const scale = p.create(`${name}.weight`, [size], ones);
  const offset = p.create(`${name}.bias`, [size], zeros);
  return (x) => layerNorm(x, scale, offset, EPSILON);
}

/** A table of `count` learned vectors; `perItem` where they are one an item, to be read through `items.rows`. */
export function embedding(
  p: Parameters,
  name: string,
  count: number,
  size: number,
  perItem = false,
): tf.Tensor2D {
  const initial = normal(INITIAL_STD);
  return p.create(`${name}.weight`, [count, size], initial, { perItem }) as tf.Tensor as tf.Tensor2D;
}

export interface TransformerConfig {
  hiddenSize: number;
  innerSize: number;
  layers: number;
  heads: number;
  hiddenDropout: number;
  attentionDropout: number;
}

/**
 * SASRec's sequence encoder (Kang and McAuley, 2018; RecBole's post-norm form): item vectors + learned positions counted
 * from the start of the history, layer norm, dropout, then causal self-attention blocks. [batch, length, hidden] in; the
 * same out, or [batch, 1, hidden] where only the last position is wanted (the last block then computes no other).
 */
export function transformer(p: Parameters, name: string, maxHistory: number, config: TransformerConfig) {
  const { hiddenSize: d, layers } = config;
  const positions = embedding(p, `${name}.position`, maxHistory, d);
  const inputNorm = norm(p, `${name}.norm`, d);
  const blocks = Array.from({ length: layers }, (_, i) => block(p, `${name}.layer.${i}`, config));

  return (vectors: tf.Tensor3D, history: History, { training }: Mode): tf.Tensor3D => {
    const { length } = history;
    const placed = tf.add(vectors, tf.slice(positions, [0, 0], [length, d]));
    const x = inputNorm(placed) as tf.Tensor3D;
    let state: Positions = {
      x: training ? dropout(x, config.hiddenDropout) : x,
      visible: causalMask(length),
    };
    blocks.forEach((run, i) => {
      const only = i === layers - 1 && length > 1 ? history.last : undefined;
      state = run(state, only && { rows: only, lengths: history.lengths }, training);
    });
    return state.x;
  };
}

interface Positions {
  /** [batch, length, d] */
  x: tf.Tensor3D;
  /** [1 or batch, 1, length, length] added to attention logits: 0 where a position may look, -1e9 where not. */
  visible: tf.Tensor;
}

/** One transformer block. With `only`, queries exist for one position of every row. */
function block(
  p: Parameters,
  name: string,
  { hiddenSize: d, innerSize, heads, hiddenDropout, attentionDropout }: TransformerConfig,
) {
  const query = dense(p, `${name}.query`, d, d);
  const key = dense(p, `${name}.key`, d, d);
  const value = dense(p, `${name}.value`, d, d);
  const out = dense(p, `${name}.out`, d, d);
  const attentionNorm = norm(p, `${name}.attention_norm`, d);
  const inner = dense(p, `${name}.inner`, d, innerSize);
  const outer = dense(p, `${name}.outer`, innerSize, d);
  const outputNorm = norm(p, `${name}.output_norm`, d);

  return ({ x, visible }: Positions, only: LastRows | undefined, training: boolean): Positions => {
    const [batch, length] = x.shape;
    const drop = (t: tf.Tensor, rate: number) => (training ? dropout(t, rate) : t);
    const flat = tf.reshape(x, [batch * length, d]);
    const residual = only ? tf.gather(flat, only.rows) : flat;
    const queries = only ? 1 : length;
    // [batch, heads, n, d / heads]
    const split = (t: tf.Tensor, n: number) =>
      tf.transpose(tf.reshape(t, [batch, n, heads, d / heads]), [0, 2, 1, 3]);
    const logits = tf.matMul(split(query(residual), queries), split(key(flat), length), false, true);
    const mask = only ? lastMask(only.lengths, length) : visible;
    const weights = drop(
      tf.softmax(tf.add(tf.mul(logits, 1 / Math.sqrt(d / heads)), mask)),
      attentionDropout,
    );
    const mixed = tf.transpose(tf.matMul(weights, split(value(flat), length)), [0, 2, 1, 3]);
    const attended = drop(out(tf.reshape(mixed, [batch * queries, d])), hiddenDropout);
    const y = attentionNorm(tf.add(residual, attended));
    const z = outputNorm(tf.add(y, drop(outer(gelu(inner(y))), hiddenDropout)));
    return { x: tf.reshape(z, [batch, queries, d]) as tf.Tensor3D, visible };
  };
}

interface LastRows {
  rows: tf.Tensor1D;
  lengths: tf.Tensor1D;
}

/** [1, 1, length, length]: position i sees positions up to i. Padding comes last, so no real position sees it. */
function causalMask(length: number): tf.Tensor {
  const values = new Float32Array(length * length);
  for (let i = 0; i < length; i++) for (let j = i + 1; j < length; j++) values[i * length + j] = -1e9;
  return tf.tensor(values, [1, 1, length, length]);
}

/** [batch, 1, 1, length]: the last position of a row sees all real positions of the row. */
function lastMask(lengths: tf.Tensor1D, length: number): tf.Tensor {
  const index = tf.tensor(
    Int32Array.from({ length }, (_, j) => j),
    [1, length],
    'int32',
  );
  const beyond = tf.greaterEqual(index, tf.reshape(lengths, [-1, 1]));
  return tf.reshape(tf.mul(tf.cast(beyond, 'float32'), -1e9), [-1, 1, 1, length]);
}

/** The wanted positions of [batch, length, d]: [batch, 1, d] where only the last ones are, else all of them. */
export function wantedPositions(x: tf.Tensor3D, { last, batch, length }: History): tf.Tensor3D {
  if (!last || length === 1) return x;
  const d = x.shape[2];
  return tf.reshape(tf.gather(tf.reshape(x, [batch * length, d]), last), [batch, 1, d]);
}
