import { compile, type Device, type HostTensor, type Parameters, tf } from '../engine/index.ts';
import { type RobertaGraphOptions, robertaGraph } from './roberta-graph.ts';
import { normaliseVectors, poolTokens, type RobertaConfig } from './roberta-model.ts';

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

type Options = Omit<RobertaGraphOptions, 'padded'>;

/** What turns ids [rows, length] into vectors [rows, hidden]. */
interface Model {
  run(ids: HostTensor): Promise<Float32Array>;
  close(): Promise<void>;
}

/** A RoBERTa model made ready to turn token ids into vectors. */
export class RobertaBatches {
  readonly #model: Model;

  private constructor(model: Model) {
    this.#model = model;
  }

  /** Loads the model; `weights` are not needed afterwards, but by an eager device. */
  static async load(
    weights: Parameters,
    model: RobertaConfig,
    options: Options,
    device: Device,
  ): Promise<RobertaBatches> {
    const make = device.eager ? eagerModel : graphModel;
    return new RobertaBatches(await make(weights, model, options, device));
  }

  /** Vectors [batch, hidden] of texts of one length, each at most as long as the model's positions go. */
  async encode(texts: readonly ArrayLike<number>[]): Promise<Float32Array> {
    const [rows, length] = [texts.length, texts[0].length];
    const ids = new Int32Array(rows * length);
    texts.forEach((text, row) => void ids.set(text, row * length));
    return this.#model.run({ dtype: 'int32', shape: [rows, length], data: ids });
  }

  close(): Promise<void> {
    return this.#model.close();
  }
}

async function graphModel(
  weights: Parameters,
  model: RobertaConfig,
  options: Options,
  device: Device,
): Promise<Model> {
  const executable = await device.load(robertaGraph(weights, model, { ...options, padded: false }));
  return {
    async run(ids) {
      const shape = [ids.shape[0], model.hiddenSize];
      const embedding = new Float32Array(shape[0] * shape[1]);
      const results = { embedding: { dtype: 'float32', shape, data: embedding } } as const;
      await executable.run({ input_ids: ids }, results, { seed: 0, step: 0 });
      return embedding;
    },
    close: () => executable.release(),
  };
}

/** The function that training differentiates: in 32-bit floats. */
async function eagerModel(
  weights: Parameters,
  model: RobertaConfig,
  { pooling, normalize }: Options,
  device: Device,
): Promise<Model> {
  const encode = compile(
    (inputs) => {
      const ids = inputs.ids as tf.Tensor2D;
      const vectors = poolTokens(weights, model, { ids, mask: tf.ones(ids.shape) }, pooling, false);
      return { embedding: normaliseVectors(vectors, normalize) };
    },
    { parameters: weights, device },
  );
  return {
    run: async (ids) => (await encode({ ids })).embedding.data as Float32Array,
    close: () => encode.close(),
  };
}
