import type { Device, Executable, Parameters } from '../engine/index.ts';
import { type RobertaGraphOptions, robertaGraph } from './roberta-graph.ts';
import type { RobertaConfig } from './roberta-model.ts';

/**
 * Which texts go through the model together: texts of one length, so that nothing is padded, longest first; as many as
 * `batchTokens` allows, at least one. Products with laid out weights are as fast for a hundred tokens as for thousands.
 * @param lengths tokens of each text
 */
export function planBatches(lengths: readonly number[], batchTokens: number): number[][] {
  const order = [...lengths.keys()].sort((a, b) => lengths[b] - lengths[a] || a - b);
  const batches: number[][] = [];
  for (let i = 0; i < order.length; ) {
    const length = lengths[order[i]];
    const most = Math.max(1, Math.floor(batchTokens / length));
    const batch = [];
    while (i < order.length && batch.length < most && lengths[order[i]] === length) batch.push(order[i++]);
    batches.push(batch);
  }
  return batches;
}

/** A RoBERTa model made ready to turn token ids into vectors. */
export class RobertaBatches {
  readonly #executable: Executable;
  readonly #width: number;

  private constructor(executable: Executable, width: number) {
    this.#executable = executable;
    this.#width = width;
  }

  /** Loads the model; `weights` are not needed afterwards. */
  static async load(
    weights: Parameters,
    model: RobertaConfig,
    options: Omit<RobertaGraphOptions, 'padded'>,
    device: Device,
  ): Promise<RobertaBatches> {
    const graph = robertaGraph(weights, model, { ...options, padded: false });
    return new RobertaBatches(await device.load(graph), model.hiddenSize);
  }

  /** Vectors [batch, hidden] of texts of one length, each at most as long as the model's positions go. */
  async encode(texts: readonly ArrayLike<number>[]): Promise<Float32Array> {
    const [rows, length] = [texts.length, texts[0].length];
    const ids = new Int32Array(rows * length);
    texts.forEach((text, row) => void ids.set(text, row * length));
    const embedding = new Float32Array(rows * this.#width);
    await this.#executable.run(
      { input_ids: { dtype: 'int32', shape: [rows, length], data: ids } },
      { embedding: { dtype: 'float32', shape: [rows, this.#width], data: embedding } },
      { seed: 0, step: 0 },
    );
    return embedding;
  }

  close(): Promise<void> {
    return this.#executable.release();
  }
}
