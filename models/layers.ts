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
import { type AttentionConfig, attention, INITIAL_STD, type LastRows } from './attention.ts';
import type { History, Mode } from './contract.ts';

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

export interface TransformerConfig extends AttentionConfig {
  innerSize: number;
  layers: number;
  hiddenDropout: number;
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
    let state = training ? dropout(x, config.hiddenDropout) : x;
    blocks.forEach((run, i) => {
      const only = i === layers - 1 && length > 1 ? history.last : undefined;
      state = run(state, only && { rows: only, lengths: history.lengths }, training);
    });
    return state;
  };
}

/** One transformer block over [batch, length, d]. With `only`, it computes one position of every row: [batch, 1, d]. */
function block(p: Parameters, name: string, config: TransformerConfig) {
  const { hiddenSize: d, innerSize, hiddenDropout } = config;
  const attend = attention(p, name, config);
  const out = dense(p, `${name}.out`, d, d);
  const attentionNorm = norm(p, `${name}.attention_norm`, d);
  const inner = dense(p, `${name}.inner`, d, innerSize);
  const outer = dense(p, `${name}.outer`, innerSize, d);
  const outputNorm = norm(p, `${name}.output_norm`, d);

  return (x: tf.Tensor3D, only: LastRows | undefined, training: boolean): tf.Tensor3D => {
    const [batch, length] = x.shape;
    const drop = (t: tf.Tensor) => (training ? dropout(t, hiddenDropout) : t);
    const flat = tf.reshape(x, [batch * length, d]) as tf.Tensor2D;
    const residual = only ? tf.gather(flat, only.rows) : flat;
    const mixed = attend(x, training, only && { ...only, vectors: residual });
    const y = attentionNorm(tf.add(residual, drop(out(mixed))));
    const z = outputNorm(tf.add(y, drop(outer(gelu(inner(y))))));
    return tf.reshape(z, [batch, only ? 1 : length, d]) as tf.Tensor3D;
  };
}
