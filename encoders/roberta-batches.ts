import type { Texts } from '../common/texts.ts';
import { type Compiled, compile, type Parameters, type tf } from '../engine/index.ts';
import type { EncoderContext } from './contract.ts';
import {
  longestText,
  normaliseVectors,
  type Pooling,
  poolTokens,
  type RobertaConfig,
} from './roberta-model.ts';

/** Lengths that batches are padded to: few, so that few shapes are compiled, and at most half as long again. */
const lengths = [8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512];

function paddedLength(tokens: number): number {
  return lengths.find((length) => length >= tokens) ?? tokens;
}

/** Token ids of texts from `first` on: as many as fit `batchTokens` when padded to the longest, at least one. */
export function takeBatch(
  texts: Texts,
  first: number,
  encode: (text: string) => number[],
  batchTokens: number,
): number[][] {
  const batch: number[][] = [];
  let longest = 0;
  for (let i = first; i < texts.length; i++) {
    const ids = encode(texts.at(i)!);
    longest = Math.max(longest, paddedLength(ids.length));
    // Powers of two keep the shapes few.
    const most = 2 ** Math.floor(Math.log2(batchTokens / longest));
    if (batch.length >= Math.max(1, most)) break;
    batch.push(ids);
  }
  return batch;
}

/** Runs batches of token ids through a RoBERTa model, compiled once for every shape of batch. */
export class RobertaBatches {
  readonly #run: Compiled;
  readonly #parameters: Parameters;
  readonly #model: RobertaConfig;

  constructor(
    parameters: Parameters,
    model: RobertaConfig,
    { pooling, normalize }: { pooling: Pooling; normalize: 'none' | 'l2' },
    { threads, device }: Pick<EncoderContext, 'threads' | 'device'>,
  ) {
    this.#parameters = parameters;
    this.#model = model;
    const forward = ({ ids, mask }: Record<string, tf.Tensor>) => {
      const batch = { ids: ids as tf.Tensor2D, mask: mask as tf.Tensor2D };
      return { vectors: normaliseVectors(poolTokens(parameters, model, batch, pooling, false), normalize) };
    };
    this.#run = compile(forward, { parameters, device, threads: threads || undefined });
  }

  /** Vectors [batch, hidden] of token ids, each at most as long as the model's positions go. */
  async encode(batch: readonly number[][]): Promise<Float32Array> {
    const longest = batch.reduce((most, ids) => Math.max(most, ids.length), 1);
    const length = Math.min(paddedLength(longest), longestText(this.#model));
    // Rows that fill up to a power of two are all padding, and are cut off again.
    const shape = [2 ** Math.ceil(Math.log2(batch.length)), length];
    const ids = new Int32Array(shape[0] * length).fill(this.#model.padId);
    const mask = new Float32Array(shape[0] * length);
    batch.forEach((tokens, row) => {
      ids.set(tokens, row * length);
      mask.fill(1, row * length, row * length + tokens.length);
    });
    const { vectors } = await this.#run({
      ids: { dtype: 'int32', shape, data: ids },
      mask: { dtype: 'float32', shape, data: mask },
    });
    return (vectors.data as Float32Array).slice(0, batch.length * this.#model.hiddenSize);
  }

  async close(): Promise<void> {
    await this.#run.close();
    this.#parameters.dispose();
  }
}
