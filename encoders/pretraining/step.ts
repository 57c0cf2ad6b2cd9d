import type { Random } from '../../common/random.ts';
import {
  type Compiled,
  compile,
  compileGradients,
  type Device,
  type Feeds,
  gradientOf,
  type HostTensor,
  type Inputs,
  linearCrossEntropy,
  Parameters,
  type Randomness,
  tf,
} from '../../engine/index.ts';
import type { RobertaConfig } from '../roberta-model.ts';
import { contrastVectors, type Heads, maskedVectors } from './heads.ts';
import { type MaskingVocabulary, maskTokens } from './masking.ts';
import { type Parts, partsOf } from './parts.ts';

/** BLaIR's objective: contrastive + weight * masked language modelling (paper, equations 1 to 3). */
export interface Objective {
  /** False leaves the contrastive loss out: BLaIR-MLM. */
  contrastive: boolean;
  temperature: number;
  /** Lambda; 0 leaves masked language modelling out. */
  mlmWeight: number;
  /** Share of the tokens that is masked. */
  mlmProbability: number;
}

export interface StepOptions {
  parameters: Parameters;
  config: RobertaConfig;
  heads: Heads;
  objective: Objective;
  vocabulary: MaskingVocabulary;
  /** Sequences that are computed together: a step of more goes part by part. */
  rows: number;
  device: Device;
}

/** Losses of a step, in nats; undefined for a part of the objective that is left out. */
export interface Losses {
  contrastive?: number;
  mlm?: number;
}

type Sequence = ArrayLike<number>;

/** Sessions kept for each graph: one for every length of a part. */
const SESSIONS = 8;

/** Loss and gradients of batches of pairs (review i, metadata i). */
export class PretrainingStep {
  readonly #options: StepOptions;
  readonly #whole: Compiled;
  readonly #encode: Compiled;
  readonly #contrast: Compiled;
  readonly #encodeBackward: Compiled;
  readonly #mlm: Compiled;

  constructor(options: StepOptions) {
    this.#options = options;
    const { parameters, config, heads, objective, device } = options;
    const shared = { parameters, device, sessions: SESSIONS };
    const vectorsOf = (inputs: Inputs) =>
      contrastVectors(parameters, config, tokenBatch(inputs), heads, true);
    const contrast = (inputs: Inputs) => contrastiveLoss(inputs, objective.temperature);
    this.#whole = compileGradients((inputs) => contrast({ ...inputs, vectors: vectorsOf(inputs) }), shared);
    this.#encode = compile((inputs) => ({ vectors: vectorsOf(inputs) }), shared);
    this.#contrast = compileGradients(contrast, {
      parameters: new Parameters(),
      device,
      inputs: ['vectors'],
    });
    this.#encodeBackward = compileGradients(
      ({ gradient, ...inputs }) => tf.sum(tf.mul(vectorsOf(inputs), gradient)) as tf.Scalar,
      { ...shared, accumulate: true },
    );
    this.#mlm = compileGradients((inputs) => maskedLoss(parameters, config, inputs, true), {
      ...shared,
      accumulate: true,
    });
  }

  /** Leaves the gradients of the objective where an Optimizer finds them. `random` draws the masks. */
  async run(
    reviews: readonly Sequence[],
    metadata: readonly Sequence[],
    randomness: Randomness,
    random: Random,
  ): Promise<Losses> {
    const { parameters, config, objective, rows } = this.#options;
    const sequences = [...reviews, ...metadata];
    const parts = partsOf(sequences, Math.min(rows, sequences.length), config);
    const pairs = pairFeeds(parts, reviews.length);
    const losses: Losses = {};
    if (objective.contrastive && parts.feeds.length === 1) {
      const { loss } = await this.#whole({ ...parts.feeds[0], ...pairs }, randomness);
      losses.contrastive = loss.data[0];
    } else {
      parameters.zeroGradients();
      if (objective.contrastive) losses.contrastive = await this.#runCached(parts, pairs, randomness);
    }
    if (objective.mlmWeight > 0) losses.mlm = await this.#runMasked(parts, randomness, random);
    return losses;
  }

  /**
   * Gradient caching (Gao et al. 2021): all parts are encoded, the loss gives the gradients of their vectors, and each
   * part is encoded again, with the same dropout, to take its vectors' gradients back to the parameters. The sum is the
   * one-pass gradient: given the vectors' gradients, no part depends on another.
   */
  async #runCached({ feeds }: Parts, pairs: Feeds, randomness: Randomness): Promise<number> {
    const d = this.#options.config.hiddenSize;
    const rows = feeds[0].ids.shape[0];
    const vectors = new Float32Array(feeds.length * rows * d);
    for (const [part, tokens] of feeds.entries()) {
      const encoded = await this.#encode(tokens, { ...randomness, part });
      vectors.set(encoded.vectors.data as Float32Array, part * rows * d);
    }
    const all: HostTensor = { dtype: 'float32', shape: [feeds.length * rows, d], data: vectors };
    const contrasted = await this.#contrast({ vectors: all, ...pairs });
    const loss = contrasted.loss.data[0];
    const gradients = contrasted[gradientOf('vectors')].data as Float32Array;
    for (const [part, tokens] of feeds.entries()) {
      const data = gradients.subarray(part * rows * d, (part + 1) * rows * d);
      const gradient: HostTensor = { dtype: 'float32', shape: [rows, d], data };
      await this.#encodeBackward({ ...tokens, gradient }, { ...randomness, part });
    }
    return loss;
  }

  /** Masked language modelling, part by part: its loss is a sum over tokens. */
  async #runMasked({ feeds }: Parts, randomness: Randomness, random: Random): Promise<number> {
    const { objective, vocabulary } = this.#options;
    const { masked, total } = maskParts(
      feeds,
      vocabulary,
      objective.mlmProbability,
      random,
      objective.mlmWeight,
    );
    let sum = 0;
    for (const [part, inputs] of masked.entries()) {
      // Other draws than those of the same part's contrastive pass.
      const { loss } = await this.#mlm(inputs, { ...randomness, part: feeds.length + part });
      sum += loss.data[0];
    }
    return total ? sum / objective.mlmWeight : 0;
  }

  async close(): Promise<void> {
    for (const compiled of [this.#whole, this.#encode, this.#contrast, this.#encodeBackward, this.#mlm])
      await compiled.close();
  }
}

const tokenBatch = ({ ids, mask }: Inputs) => ({ ids: ids as tf.Tensor2D, mask: mask as tf.Tensor2D });

/** Which rows are the reviews and which their metadata, and the weights of a mean. */
export function pairFeeds({ row }: Parts, pairs: number): Feeds {
  const int32 = (data: Int32Array): HostTensor => ({ dtype: 'int32', shape: [pairs], data });
  return {
    reviews: int32(row.slice(0, pairs)),
    metadata: int32(row.slice(pairs)),
    target: int32(Int32Array.from({ length: pairs }, (_, i) => i)),
    weight: { dtype: 'float32', shape: [pairs], data: new Float32Array(pairs).fill(1 / pairs) },
  };
}

/** InfoNCE from reviews to metadata with in-batch negatives (paper, equation 1). `vectors` are of length one. */
export function contrastiveLoss(
  { vectors, reviews, metadata, target, weight }: Inputs,
  temperature: number,
): tf.Scalar {
  const queries = tf.div(tf.gather(vectors, reviews as tf.Tensor1D), temperature) as tf.Tensor2D;
  const keys = tf.gather(vectors, metadata as tf.Tensor1D) as tf.Tensor2D;
  return linearCrossEntropy(queries, keys, target as tf.Tensor1D, weight as tf.Tensor1D);
}

/** Cross-entropy of masked tokens, summed with weights (paper, equation 2). */
export function maskedLoss(
  parameters: Parameters,
  config: RobertaConfig,
  inputs: Inputs,
  training: boolean,
): tf.Scalar {
  const positions = inputs.positions as tf.Tensor1D;
  const hidden = maskedVectors(parameters, config, tokenBatch(inputs), positions, training);
  const words = parameters.get('embeddings.word_embeddings.weight').variable as tf.Tensor as tf.Tensor2D;
  const bias = parameters.get('lm_head.bias').variable as tf.Tensor as tf.Tensor1D;
  return linearCrossEntropy(hidden, words, inputs.target as tf.Tensor1D, inputs.weight as tf.Tensor1D, {
    bias,
  });
}

/** Masks every part's tokens; weights make the loss `scale` times the mean over all masked tokens. */
export function maskParts(
  parts: readonly Feeds[],
  vocabulary: MaskingVocabulary,
  probability: number,
  random: Random,
  scale: number,
): { masked: Feeds[]; total: number } {
  const all = parts.map(({ ids }) => maskTokens(ids.data as Int32Array, vocabulary, probability, random));
  const total = all.reduce((sum, { count }) => sum + count, 0);
  const masked = all.map(({ ids, positions, targets, count }, part): Feeds => {
    const shape = [positions.length];
    const weight = new Float32Array(positions.length).fill(scale / Math.max(1, total), 0, count);
    return {
      ids: { dtype: 'int32', shape: parts[part].ids.shape, data: ids },
      mask: parts[part].mask,
      positions: { dtype: 'int32', shape, data: positions },
      target: { dtype: 'int32', shape, data: targets },
      weight: { dtype: 'float32', shape, data: weight },
    };
  });
  return { masked, total };
}
