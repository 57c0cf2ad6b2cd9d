import type { Progress } from '../../common/progress.ts';
import { compileThresholdProduct, GROUP, type ThresholdProduct } from '../../engine/threshold-product.ts';
import { type Hits, TopK } from '../top-k.ts';
import type { Vectors } from './vectors.ts';

/** Items and queries of one product: large enough for its speed, small enough that its scores stay in the cache. */
export const TILE_ITEMS = 4096;
export const BLOCK_QUERIES = 512;

/** Search by dot product in the vectors of a pool. */
export interface Scanner {
  /**
   * The k items with the largest dot products for each query.
   * @param queries [count, dims], finite
   */
  scan(queries: Float32Array, k: number, progress: Progress): Promise<Hits[]>;
  /** Of an approximate search: which share of the exact k best it found, on so many of the first queries it was given. */
  recall?: { queries: number; share: number };
  close(): Promise<void>;
}

/** Exact search: all items are compared with all queries, and read once, tile by tile. Scores are float32 dot products. */
export function openScanner(vectors: Vectors, threads: number): Scanner {
  const { rows, dims } = vectors;
  const products = new Map<number, ThresholdProduct>();
  const productFor = async (count: number): Promise<ThresholdProduct> => {
    // One row alone would be multiplied in another way; few sizes, as each is compiled.
    const queries = Math.min(BLOCK_QUERIES, 2 ** Math.max(1, Math.ceil(Math.log2(count))));
    const known = products.get(queries);
    if (known) return known;
    const items = Math.min(TILE_ITEMS, Math.ceil(rows / GROUP) * GROUP);
    const made = await compileThresholdProduct({ queries, items, dims }, threads);
    products.set(queries, made);
    return made;
  };
  return {
    async scan(queries, k, progress) {
      const count = queries.length / dims;
      const product = await productFor(count);
      const blocks: Block[] = [];
      for (let first = 0; first < count; first += product.shape.queries)
        blocks.push(
          new Block(queries.subarray(first * dims, (first + product.shape.queries) * dims), product, k),
        );
      const tile = new Float32Array(product.shape.items * dims);
      progress.begin('searching', 'items', rows);
      for (let first = 0; first < rows; first += product.shape.items) {
        const here = Math.min(product.shape.items, rows - first);
        vectors.read(first, tile.subarray(0, here * dims));
        tile.fill(0, here * dims);
        for (const block of blocks) {
          progress.check();
          await block.add(tile, first, here);
        }
        progress.advance(first + here);
      }
      progress.end();
      return blocks.flatMap((block) => block.take());
    },
    async close() {
      for (const product of products.values()) await product.close();
      vectors.close();
    },
  };
}

/** Queries that go through a product together, and the best items that each has met. */
class Block {
  readonly #product: ThresholdProduct;
  /** [queries of the product, dims]; the last rows may stand for no query. */
  readonly #queries: Float32Array;
  readonly #tops: TopK[];
  readonly #thresholds: Float32Array;

  constructor(queries: Float32Array, product: ThresholdProduct, k: number) {
    const { queries: rows, dims } = product.shape;
    this.#product = product;
    this.#queries = new Float32Array(rows * dims);
    this.#queries.set(queries);
    this.#tops = Array.from({ length: queries.length / dims }, () => new TopK(k));
    this.#thresholds = new Float32Array(rows).fill(Number.POSITIVE_INFINITY);
  }

  /** @param items [items of the product, dims] of which the first `count` are items, numbered from `first` */
  async add(items: Float32Array, first: number, count: number): Promise<void> {
    // A float32 score that a heap keeps is the same number in float64.
    this.#tops.forEach((top, row) => {
      this.#thresholds[row] = top.threshold;
    });
    const { places, scores } = await this.#product.run(this.#queries, items, this.#thresholds);
    const groups = this.#product.shape.items / GROUP;
    for (let p = 0; p < places.length; p++) {
      const row = Math.floor(places[p] / groups);
      const start = (places[p] - row * groups) * GROUP;
      const top = this.#tops[row];
      const end = Math.min(GROUP, count - start);
      for (let i = 0; i < end; i++) {
        const score = scores[p * GROUP + i];
        if (score > top.threshold) top.offer(first + start + i, score);
      }
    }
  }

  take(): Hits[] {
    return this.#tops.map((top) => top.take());
  }
}
