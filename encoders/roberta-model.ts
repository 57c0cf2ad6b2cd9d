import { dropout, gelu, l2Normalize, layerNorm, type Parameters, tf } from '../engine/index.ts';

/** The numbers of config.json that decide RoBERTa's architecture. */
export interface RobertaConfig {
  layers: number;
  heads: number;
  hiddenSize: number;
  innerSize: number;
  vocabSize: number;
  /** Rows of the table of positions; the first real token has position padId + 1. */
  maxPositions: number;
  tokenTypes: number;
  padId: number;
  epsilon: number;
  hiddenDropout: number;
  attentionDropout: number;
}

/** Tokens of texts, padded at their ends to one length. */
export interface TokenBatch {
  /** [batch, length] int32. */
  ids: tf.Tensor2D;
  /** [batch, length] float32: 1 for a token, 0 for padding. */
  mask: tf.Tensor2D;
}

export interface EncodeMode {
  /** True applies dropout. */
  training: boolean;
  /** 'first' leaves the other positions of the last layer uncomputed. */
  positions: 'all' | 'first';
}

export type Pooling = 'cls' | 'mean';

/** Longest text in tokens. */
export function longestText(config: RobertaConfig): number {
  return config.maxPositions - config.padId - 1;
}

/** Every tensor that the forward pass needs, named as in Hugging Face's checkpoints (without the 'roberta.' before). */
export function robertaShapes(config: RobertaConfig): Map<string, number[]> {
  const { hiddenSize: d, innerSize, vocabSize, maxPositions, tokenTypes } = config;
  const shapes = new Map<string, number[]>();
  const dense = (name: string, from: number, to: number) =>
    shapes.set(`${name}.weight`, [to, from]).set(`${name}.bias`, [to]);
  const norm = (name: string) => shapes.set(`${name}.weight`, [d]).set(`${name}.bias`, [d]);
  shapes.set('embeddings.word_embeddings.weight', [vocabSize, d]);
  shapes.set('embeddings.position_embeddings.weight', [maxPositions, d]);
  shapes.set('embeddings.token_type_embeddings.weight', [tokenTypes, d]);
  norm('embeddings.LayerNorm');
  for (let i = 0; i < config.layers; i++) {
    const layer = `encoder.layer.${i}`;
    for (const part of ['query', 'key', 'value']) dense(`${layer}.attention.self.${part}`, d, d);
    dense(`${layer}.attention.output.dense`, d, d);
    norm(`${layer}.attention.output.LayerNorm`);
    dense(`${layer}.intermediate.dense`, d, innerSize);
    dense(`${layer}.output.dense`, innerSize, d);
    norm(`${layer}.output.LayerNorm`);
  }
  return shapes;
}

/**
 * RoBERTa's hidden states after the last layer (Liu et al. 2019; BERT's post-norm Transformer). `parameters` holds the
 * tensors of `robertaShapes`.
 * @returns [batch * length, hidden], or [batch, hidden] where only the first positions are wanted
 */
export function encodeTokens(
  parameters: Parameters,
  config: RobertaConfig,
  { ids, mask }: TokenBatch,
  mode: EncodeMode,
): tf.Tensor2D {
  // Added to attention logits: no token sees padding.
  const bias = tf.reshape(tf.mul(tf.sub(mask, 1), 1e9), [ids.shape[0], 1, 1, ids.shape[1]]);
  let x = embedTokens(parameters, config, ids, mode);
  for (let i = 0; i < config.layers; i++) {
    const firstOnly = mode.positions === 'first' && i === config.layers - 1;
    x = encoderLayer(parameters, config, `encoder.layer.${i}`, x, bias, firstOnly, mode.training);
  }
  return x;
}

/** One vector a text: the hidden state of `<s>`, or the mean over its tokens. [batch, hidden] */
export function poolTokens(
  parameters: Parameters,
  config: RobertaConfig,
  batch: TokenBatch,
  pooling: Pooling,
  training: boolean,
): tf.Tensor2D {
  if (pooling === 'cls') return encodeTokens(parameters, config, batch, { training, positions: 'first' });
  const [count, length] = batch.mask.shape;
  const hidden = encodeTokens(parameters, config, batch, { training, positions: 'all' });
  const weights = tf.reshape(batch.mask, [count, length, 1]);
  const sum = tf.sum(tf.mul(tf.reshape(hidden, [count, length, config.hiddenSize]), weights), 1);
  return tf.div(sum, tf.maximum(tf.sum(weights, 1), 1)) as tf.Tensor2D;
}

/** Rows of length one, or as they are. */
export function normaliseVectors(vectors: tf.Tensor2D, normalize: 'none' | 'l2'): tf.Tensor2D {
  return normalize === 'l2' ? l2Normalize(vectors) : vectors;
}

function variable<T extends tf.Tensor>(parameters: Parameters, name: string): T {
  return parameters.get(name).variable as tf.Tensor as T;
}

/** x [n, in] times W^T, W [out, in] as PyTorch keeps it, plus bias. */
export function dense(parameters: Parameters, name: string, x: tf.Tensor2D): tf.Tensor2D {
  const weight = variable<tf.Tensor2D>(parameters, `${name}.weight`);
  return tf.add(tf.matMul(x, weight, false, true), variable(parameters, `${name}.bias`));
}

/** Layer normalisation with the named scale and offset. */
export function norm(parameters: Parameters, name: string, x: tf.Tensor2D, epsilon: number): tf.Tensor2D {
  return layerNorm(x, variable(parameters, `${name}.weight`), variable(parameters, `${name}.bias`), epsilon);
}

/** Word + position + token type 0 -> LayerNorm -> dropout: [batch * length, hidden]. */
function embedTokens(
  p: Parameters,
  config: RobertaConfig,
  ids: tf.Tensor2D,
  { training }: EncodeMode,
): tf.Tensor2D {
  const [batch, length] = ids.shape;
  const d = config.hiddenSize;
  const words = tf.gather(
    variable<tf.Tensor2D>(p, 'embeddings.word_embeddings.weight'),
    tf.reshape(ids, [batch * length]),
  );
  const positions = tf.slice(
    variable(p, 'embeddings.position_embeddings.weight'),
    [config.padId + 1, 0],
    [length, d],
  );
  const type = tf.slice(variable(p, 'embeddings.token_type_embeddings.weight'), [0, 0], [1, d]);
  const sum = tf.add(tf.reshape(words, [batch, length, d]), tf.add(positions, type));
  const x = norm(p, 'embeddings.LayerNorm', tf.reshape(sum, [batch * length, d]), config.epsilon);
  return training ? dropout(x, config.hiddenDropout) : x;
}

/** Self-attention and feed-forward, each with residual and LayerNorm after it. x: [batch * length, hidden] */
function encoderLayer(
  p: Parameters,
  config: RobertaConfig,
  name: string,
  x: tf.Tensor2D,
  bias: tf.Tensor,
  firstOnly: boolean,
  training: boolean,
): tf.Tensor2D {
  const { hiddenSize: d, heads, epsilon } = config;
  const [batch, , , length] = bias.shape as [number, number, number, number];
  const drop = (t: tf.Tensor2D) => (training ? dropout(t, config.hiddenDropout) : t);
  const queries = firstOnly ? 1 : length;
  const residual: tf.Tensor2D = firstOnly
    ? tf.reshape(tf.slice(tf.reshape(x, [batch, length, d]), [0, 0, 0], [batch, 1, d]), [batch, d])
    : x;
  // [batch, heads, n, d / heads]
  const split = (t: tf.Tensor, n: number) =>
    tf.transpose(tf.reshape(t, [batch, n, heads, d / heads]), [0, 2, 1, 3]);
  const scale = 1 / Math.sqrt(d / heads);
  const query = split(tf.mul(dense(p, `${name}.attention.self.query`, residual), scale), queries);
  const key = split(dense(p, `${name}.attention.self.key`, x), length);
  const value = split(dense(p, `${name}.attention.self.value`, x), length);
  const seen = tf.softmax(tf.add(tf.matMul(query, key, false, true), bias));
  const weights = training ? dropout(seen, config.attentionDropout) : seen;
  const mixed = tf.reshape(tf.transpose(tf.matMul(weights, value), [0, 2, 1, 3]), [
    batch * queries,
    d,
  ]) as tf.Tensor2D;
  const attended = drop(dense(p, `${name}.attention.output.dense`, mixed));
  const y = norm(p, `${name}.attention.output.LayerNorm`, tf.add(residual, attended), epsilon);
  const inner = gelu(dense(p, `${name}.intermediate.dense`, y));
  return norm(
    p,
    `${name}.output.LayerNorm`,
    tf.add(y, drop(dense(p, `${name}.output.dense`, inner))),
    epsilon,
  );
}
