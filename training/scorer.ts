import type { Dataset, Rows } from '../data/dataset.ts';
import { type Compiled, type CompileOptions, compile, type HostTensor, tf } from '../engine/index.ts';
import type { ItemLists, Places, Scorer, Shortlists } from '../evaluation/ranking.ts';
import type { Recommender } from '../models/index.ts';
import { CardPlaces } from './card-places.ts';
import { HistoryEncoder } from './histories.ts';
import { candidates, catalogue, type TextTable } from './objective.ts';
import { PlaceFinder } from './places.ts';
import { TopFinder } from './tops.ts';
import { ItemTower } from './tower.ts';

const MODE = { training: false };
/** Rows encoded in one go: enough to find many of similar length, few enough that their vectors are small. */
const ENCODED_ROWS = 16_384;
/** A larger catalogue with texts goes through the item tower in chunks: its inner values would take gigabytes. */
const WHOLE_ITEMS = 16_384;
/** Up to so many rows, the number of rows scored is rounded up. */
const FEW_ROWS = 16;

interface ItemVectors {
  /** [items, d] what items() gives. */
  table: HostTensor;
  /** [items, d] the same as scores compare them. */
  candidates: HostTensor;
}

/**
 * Ranks all items with a trained model: item vectors once, histories in batches of similar length, then products of both.
 * `refresh` takes in the parameters' present values.
 */
export class ModelScorer implements Scorer {
  readonly #itemVectors: { compute(): Promise<ItemVectors>; close(): Promise<void> };
  readonly #histories: HistoryEncoder;
  readonly #places: PlaceFinder | CardPlaces;
  readonly #tops: TopFinder;
  readonly #product: Compiled;
  readonly #inHostMemory: boolean;
  #items: ItemVectors | undefined;
  /** Vectors [count, d] of the rows from `first` on. */
  #encoded: { rows: Rows; first: number; count: number; vectors: Float32Array } | undefined;
  /** Rows of the compiled shape that finds places. */
  #tile = 0;

  constructor(
    model: Recommender,
    dataset: Dataset,
    text: TextTable,
    maxHistory: number,
    options: CompileOptions & { parameters: NonNullable<CompileOptions['parameters']> },
  ) {
    this.#itemVectors =
      text && dataset.itemCount > WHOLE_ITEMS
        ? inChunks(new ItemTower(model, text, MODE, options))
        : atOnce(model, dataset.itemCount, text, options);
    this.#inHostMemory = options.device?.inHostMemory ?? true;
    this.#histories = new HistoryEncoder(model, dataset, text, maxHistory, options);
    this.#places = options.device?.resident ? new CardPlaces(options) : new PlaceFinder(options);
    this.#tops = new TopFinder(options);
    this.#product = compile(
      ({ queries, candidates }) => ({
        scores: tf.matMul(queries as tf.Tensor2D, candidates as tf.Tensor2D, false, true),
      }),
      { ...options, parameters: undefined },
    );
  }

  /** Computes item vectors anew; call it after every change of the parameters. */
  async refresh(): Promise<void> {
    const { table, candidates } = await this.#itemVectors.compute();
    this.#items = { table: this.#kept(table), candidates: this.#kept(candidates) };
    this.#places.follow(this.#items.candidates);
    this.#tops.follow(this.#items.candidates);
    this.#encoded = undefined;
  }

  /** What a device with memory of its own may keep a copy of: the next `refresh` writes over results. */
  #kept(tensor: HostTensor): HostTensor {
    return this.#inHostMemory ? tensor : { ...tensor, data: tensor.data.slice(), frozen: true };
  }

  async score(rows: Rows, first: number, count: number): Promise<Float32Array> {
    const { candidates } = this.#items!;
    const [items, d] = candidates.shape;
    // Single rows come in all numbers; each number is compiled.
    const padded = count > FEW_ROWS ? count : powerOfTwo(count);
    const data = new Float32Array(padded * d);
    data.set(await this.#queries(rows, first, count));
    const queries: HostTensor = { dtype: 'float32', shape: [padded, d], data };
    const { scores } = await this.#product({ queries, candidates });
    return (scores.data as Float32Array).subarray(0, count * items);
  }

  async rank(rows: Rows, first: number, count: number, seen: ItemLists): Promise<Places> {
    const queries = await this.#queries(rows, first, count);
    // The tile at the end of a split is filled up to the size of those before it.
    if (first === 0 || count > this.#tile) this.#tile = powerOfTwo(count);
    return this.#places.find(queries, rows.target.subarray(first, first + count), seen, this.#tile);
  }

  async shortlist(rows: Rows, first: number, count: number, k: number): Promise<Shortlists | undefined> {
    return this.#tops.find(await this.#queries(rows, first, count), k);
  }

  /** [count, d] the vectors after the rows' histories. */
  async #queries(rows: Rows, first: number, count: number): Promise<Float32Array> {
    const known = this.#encoded;
    if (known?.rows !== rows || first < known.first || first + count > known.first + known.count) {
      const span = Math.max(count, Math.min(ENCODED_ROWS, rows.target.length - first));
      const vectors = await this.#histories.encode(rows, first, span, this.#items!.table);
      this.#encoded = { rows, first, count: span, vectors };
    }
    const { vectors, first: start } = this.#encoded!;
    const d = this.#items!.table.shape[1];
    return vectors.subarray((first - start) * d, (first - start + count) * d);
  }

  async close(): Promise<void> {
    for (const part of [this.#itemVectors, this.#histories, this.#places, this.#tops, this.#product])
      await part.close();
  }
}

function atOnce(model: Recommender, itemCount: number, text: TextTable, options: CompileOptions) {
  const compiled = compile((inputs) => {
    const table = model.items(catalogue(inputs.text, itemCount), MODE);
    return { table, candidates: candidates(model, table) };
  }, options);
  return {
    compute: async () => {
      const { table, candidates } = await compiled(text ? { text } : {});
      return { table, candidates };
    },
    close: () => compiled.close(),
  };
}

function inChunks(tower: ItemTower) {
  return {
    compute: async () => {
      const { table, candidates } = await tower.forward();
      return { table, candidates: candidates! };
    },
    close: () => tower.close(),
  };
}

/** The next power of two, from two on: one row alone onnxruntime multiplies in another way, and rounds otherwise. */
const powerOfTwo = (n: number) => 2 ** Math.max(1, Math.ceil(Math.log2(n)));
