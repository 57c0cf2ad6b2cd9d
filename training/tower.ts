import {
  allocate,
  type Compiled,
  type CompileOptions,
  compile,
  compileGradients,
  type Feeds,
  type HeldRows,
  type HostTensor,
  type Inputs,
  type Parameters,
  type Randomness,
  type Spec,
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
  readonly #text: HostTensor;
  readonly #chunks: Chunk[];
  /** What vectors are written to again and again, by name. */
  readonly #memory = new Map<string, HostTensor>();
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
    this.#forward = compile(
      (inputs) => {
        const table = vectors(inputs);
        const results: Record<string, tf.Tensor> = { table };
        if (!mode.training) results.candidates = candidates(model, table);
        return results;
      },
      { ...options, hold: mode.training ? ['table'] : [] },
    );
    if (!mode.training) return;
    // The gradient of sum(vectors x dy) is that of the loss whose gradient dy is.
    const product = (inputs: Inputs) => tf.sum(tf.mul(vectors(inputs), inputs.dTable)) as tf.Scalar;
    this.#backward = compileGradients(product, { ...options, accumulate: true });
  }

  /** How many numbers of `Randomness.part` it takes, from 0. */
  get parts(): number {
    return this.#chunks.length;
  }

  /**
   * Computes all vectors with the parameters' present values; they are valid until the next call. In training, a device with
   * memory of its own holds them.
   */
  async forward(at: Randomness = { seed: 0, step: 0 }): Promise<ItemVectors> {
    const held: HeldRows[] = [];
    let table: HostTensor | undefined;
    let candidates: HostTensor | undefined;
    for (const [part, chunk] of this.#chunks.entries()) {
      const found = await this.#forward(chunk.feeds, { ...at, part });
      if (found.candidates) candidates = this.#fill('candidates', found.candidates, chunk);
      if (!found.table.held) table = this.#fill('table', found.table, chunk);
      else {
        chunk.parts = found.table.held.length;
        held.push(...moved(found.table.held, chunk.first));
        table = { ...this.#spec(found.table), data: new Float32Array(), held };
      }
    }
    return { table: table!, candidates };
  }

  #fill(name: string, vectors: HostTensor, { first }: Chunk): HostTensor {
    const spec = this.#spec(vectors);
    const all = this.#memory.get(name) ?? { ...spec, data: allocate(spec) };
    this.#memory.set(name, all);
    all.data.set(vectors.data, first * vectors.shape[1]);
    return all;
  }

  #spec({ shape: [, d] }: HostTensor): Spec {
    return { dtype: 'float32', shape: [this.#text.shape[0], d] };
  }

  /**
   * Adds to the parameters' gradients what follows from that of the vectors, [items, d], which is the tower's to overwrite.
   * `at` is that of `forward`.
   */
  async backward(gradient: HostTensor, at: Randomness): Promise<void> {
    // The last chunk goes first: where it overlaps with the one before, its vectors were the ones that counted.
    let end = this.#text.shape[0];
    const held = [...(gradient.held ?? [])];
    for (const [part, chunk] of [...this.#chunks.entries()].reverse()) {
      const dTable = gradient.held
        ? heldRows(gradient, chunk, held.splice(held.length - chunk.parts))
        : ownRows(gradient, chunk, end);
      await this.#backward!({ ...chunk.feeds, dTable }, { ...at, part });
      end = chunk.first;
    }
  }

  async close(): Promise<void> {
    await this.#forward.close();
    await this.#backward?.close();
  }
}

/** Lets go of a matrix, where a device holds it. */
export function release({ held }: HostTensor): void {
  for (const part of held ?? []) part.dispose();
}

const moved = (parts: readonly HeldRows[], by: number): HeldRows[] =>
  parts.map((part) => ({ ...part, first: part.first + by }));

/** A chunk's rows of a matrix that lies on a device, of which its vectors' parts are given. */
function heldRows(
  { dtype, shape: [, d], data }: HostTensor,
  { first, count }: Chunk,
  parts: HeldRows[],
): HostTensor {
  return { dtype, shape: [count, d], data, held: moved(parts, -first) };
}

/** A chunk's rows of a matrix in host memory; those from `end` on, which are another chunk's, become zero. */
function ownRows(
  { dtype, shape: [, d], data }: HostTensor,
  { first, count }: Chunk,
  end: number,
): HostTensor {
  data.fill(0, end * d, (first + count) * d);
  return { dtype, shape: [count, d], data: data.subarray(first * d, (first + count) * d) };
}

/** Vectors of all items, [items, d]: what items() gives, and the same as scores compare them, but for training, whose loss does. */
export interface ItemVectors {
  table: HostTensor;
  candidates: HostTensor | undefined;
}

interface Chunk {
  first: number;
  count: number;
  /** In how many parts a device holds its vectors. */
  parts: number;
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
      parts: 0,
      feeds: {
        text: { dtype, shape: [count, dims], data: text, frozen },
        ids: { dtype: 'int32', shape: [count], data: ids },
      },
    };
  });
}
