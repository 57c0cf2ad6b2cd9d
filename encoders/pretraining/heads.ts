import { gelu, normal, ones, type Parameters, tf, zeros } from '../../engine/index.ts';
import {
  dense,
  encodeTokens,
  norm,
  normaliseVectors,
  type Pooling,
  poolTokens,
  type RobertaConfig,
  robertaShapes,
  type TokenBatch,
} from '../roberta-model.ts';

/** What stands on top of the encoder while it is pretrained. */
export interface Heads {
  /** Which vector stands for a text. */
  pooling: Pooling;
  /** 'tanh' puts a dense layer and tanh over that vector, as the official code does; it is not used afterwards. */
  pooler: 'tanh' | 'none';
  /** The head that predicts masked tokens. */
  lm: boolean;
}

/** Names and shapes of the heads' tensors, as Hugging Face's RobertaModel and RobertaForMaskedLM call them. */
export function headShapes({ hiddenSize: d, vocabSize }: RobertaConfig, heads: Heads): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  if (heads.pooler === 'tanh') shapes.set('pooler.dense.weight', [d, d]).set('pooler.dense.bias', [d]);
  if (heads.lm) {
    shapes.set('lm_head.dense.weight', [d, d]).set('lm_head.dense.bias', [d]);
    shapes.set('lm_head.layer_norm.weight', [d]).set('lm_head.layer_norm.bias', [d]);
    shapes.set('lm_head.bias', [vocabSize]);
  }
  return shapes;
}

/** A new encoder, as RoBERTa is initialised: N(0, 0.02), biases 0, norms 1; the vector of padding is zero. */
export function createEncoder(parameters: Parameters, config: RobertaConfig): void {
  createMissing(parameters, robertaShapes(config));
  const { values } = parameters.get('embeddings.word_embeddings.weight');
  values.fill(0, config.padId * config.hiddenSize, (config.padId + 1) * config.hiddenSize);
}

/** Makes those of the tensors that are not there yet. */
export function createMissing(parameters: Parameters, shapes: ReadonlyMap<string, number[]>): void {
  for (const [name, shape] of shapes) {
    if (parameters.has(name)) continue;
    const initial = shape.length > 1 ? normal(0.02) : /norm\.weight$/i.test(name) ? ones : zeros;
    parameters.create(name, shape, initial);
  }
}

/** Vectors that are compared in training: pooled, through the head, of length one. [batch, hidden] */
export function contrastVectors(
  parameters: Parameters,
  config: RobertaConfig,
  batch: TokenBatch,
  { pooling, pooler }: Heads,
  training: boolean,
): tf.Tensor2D {
  const pooled = poolTokens(parameters, config, batch, pooling, training);
  const vectors = pooler === 'tanh' ? tf.tanh(dense(parameters, 'pooler.dense', pooled)) : pooled;
  return normaliseVectors(vectors as tf.Tensor2D, 'l2');
}

/**
 * What RoBERTa's LM head makes of some positions; logits are its product with the word embeddings, plus `lm_head.bias`.
 * @param positions [n] int32, of the flattened [batch * length]
 * @returns [n, hidden]
 */
export function maskedVectors(
  parameters: Parameters,
  config: RobertaConfig,
  batch: TokenBatch,
  positions: tf.Tensor1D,
  training: boolean,
): tf.Tensor2D {
  const hidden = encodeTokens(parameters, config, batch, { training, positions: 'all' });
  const wanted = tf.gather(hidden, positions) as tf.Tensor2D;
  return norm(
    parameters,
    'lm_head.layer_norm',
    gelu(dense(parameters, 'lm_head.dense', wanted)),
    config.epsilon,
  );
}
