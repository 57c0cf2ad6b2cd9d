import {
  allocate,
  type Compiled,
  type CompileOptions,
  compile,
  compileGradients,
  type Feeds,
  type HostTensor,
  type Inputs,
  type Parameters,
  type Randomness,
  tf,
} from '../engine/index.ts';
import type { Mode, Recommender } from '../models/index.ts';
import { candidates, type TextTable } from './objective.ts';

/** Items that a tower takes at once: enough to fill the cores, few enough that wide layers stay small in memory. */
const CHUNK_ITEMS = 8192;

/**
 * The item side of a model with texts, run over the catalogue in chunks, so that its memory is a chunk's. Training
 * computes every item's vectors, lets the loss find their gradients, and comes back with these chunk by chunk, computing
 * the chunk's inner values anew.
 */
export class ItemTower {
  /** [items, d] what items() gives. */
  table: HostTensor | undefined;
  /** [items, d] the same as scores compare them; training leaves this to its loss. */
  candidates: HostTensor | undefined;
  readonly #text: HostTensor;
  readonly #chunks: Chunk[];
  readonly #forward: Compiled;
  readonly #backward: Compiled | undefined;

  constructor(
    model: Recommender,
    text: NonNullable<TextTable>,
    mode: Mode,
    options: CompileOptions & { parameters: Parameters },
    chunkItems = CHUNK_ITEMS,
  ) {
    this.#text = text;
    this.#chunks = cut(text, chunkItems);
    const vectors = ({ text, ids }: Inputs) => {
      const source = {
        count: ids.shape[0]!,
        text: text as tf.Tensor2D,
        rows: (table: tf.Tensor2D) => tf.gather(table, ids as tf.Tensor1D),
      };
      return model.items(source, mode);
    };
    this.#forward = compile((inputs) => {
      const table = vectors(inputs);
      const results: Record<string, tf.Tensor> = { table };
      if (!mode.training) results.candidates = candidates(model, table);
      return results;
    }, options);
    if (!mode.training) return;
    // The gradient of sum(vectors x dy) is that of the loss whose gradient dy is.
    const product = (inputs: Inputs) => tf.sum(tf.mul(vectors(inputs), inputs.dTable)) as tf.Scalar;
    this.#backward = compileGradients(product, { ...options, accumulate: true });
  }

  /** How many numbers of `Randomness.part` it takes, from 0. */
  get parts(): number {
    return this.#chunks.length;
  }

  /** Computes all vectors with the parameters' present values. */
  async forward(at: Randomness = { seed: 0, step: 0 }): Promise<void> {
    for (const [part, { first, feeds }] of this.#chunks.entries()) {
      const { table, candidates } = await this.#forward(feeds, { ...at, part });
      this.table = this.#fill(this.table, table, first);
      if (candidates) this.candidates = this.#fill(this.candidates, candidates, first);
    }
  }

  #fill(whole: HostTensor | undefined, { shape: [, d], data }: HostTensor, first: number): HostTensor {
    const size = { dtype: 'float32', shape: [this.#text.shape[0], d] } as const;
    const filled = whole ?? { ...size, data: allocate(size) };
    filled.data.set(data, first * d);
    return filled;
  }

  /**
   * Adds to the parameters' gradients what follows from those of the vectors, which are the tower's to overwrite.
   * `at` is that of `forward`.
   */
  async backward(dTable: Float32Array, at: Randomness): Promise<void> {
    const d = this.table!.shape[1];
    // The last chunk goes first: where it overlaps with the one before, its vectors were the ones that counted.
    let end = this.#text.shape[0];
    for (const [part, { first, count, feeds }] of [...this.#chunks.entries()].reverse()) {
      dTable.fill(0, end * d, (first + count) * d);
      const data = dTable.subarray(first * d, (first + count) * d);
      const gradient: HostTensor = { dtype: 'float32', shape: [count, d], data };
      await this.#backward!({ ...feeds, dTable: gradient }, { ...at, part });
      end = first;
    }
  }

  async close(): Promise<void> {
    await this.#forward.close();
    await this.#backward?.close();
  }
}

interface Chunk {
  first: number;
  count: number;
  /** The items' texts and ids. */
  feeds: Feeds;
}

/** Chunks of one size, for one compiled shape: the last one reaches back into the one before. */
function cut({ dtype, shape: [items, dims], data, frozen }: HostTensor, most: number): Chunk[] {
  const chunks = Math.ceil(items / most);
  const count = Math.ceil(items / chunks);
  return Array.from({ length: chunks }, (_, i) => {
    const first = Math.min(i * count, items - count);
    const text = data.subarray(first * dims, (first + count) * dims);
    const ids = Int32Array.from({ length: count }, (_, i) => first + i);
    return {
      first,
      count,
      feeds: {
        text: { dtype, shape: [count, dims], data: text, frozen },
        ids: { dtype: 'int32', shape: [count], data: ids },
      },
    };
  });
}
