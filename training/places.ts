import {
  type Compiled,
  type CompileOptions,
  compile,
  type Feeds,
  type HostTensor,
  hardSigmoid,
  type Inputs,
  tf,
} from '../engine/index.ts';
import type { ItemLists, Places } from '../evaluation/ranking.ts';

/** Items of one product, at most: its scores stay in a core's cache while they are compared and summed. */
const BLOCK_ITEMS = 2048;
/** onnxruntime's product sums inner dimensions up to this in one piece, and longer ones in pieces. */
const ONE_PIECE = 128;
/** Fewer columns than the inner dimension, and the product takes other pieces; up to this many are filled up. */
const COLUMNS = 256;
/**
 * What an item adds to the sum of its block: 1 where it beats the target, TIE where their scores are equal. A block's sum is
 * exact in float32, and neither part runs into the other.
 */
const TIE = 1 / (2 * BLOCK_ITEMS);
/** Scores of TINY and more differ, where they do, by more than 1 / SLOPE. */
const SLOPE = 2 ** 126;
const TINY = 2 ** -80;
/** Products stay below float32's largest number, 2^128. */
const HUGE = 2 ** 126;

/**
 * Finds where the targets of some rows come among all items, by dot product, without giving out a score: outputs of
 * onnxruntime-node are copied into new arrays, and a [rows, items] one costs more than its product. Here the scores of a block
 * of items are compared with the targets' as they come, and all that leaves the graph is a sum a row and block.
 *
 * Comparisons are exact: the score of a target comes from the same kind of product, and a row where that product gave the target
 * another value among its competitors is left to the caller.
 */
export class PlaceFinder {
  readonly #place: Compiled;
  #candidates: HostTensor | undefined;
  /** [items of the block, d], or [.., d + 1] with a last column of ones. */
  #blocks: Feeds = {};
  #blockItems = 0;
  /** Largest magnitude in the candidates; NaN where they hold one. */
  #largest = 0;

  constructor(options: CompileOptions) {
    this.#place = compile(comparisons, { ...options, parameters: undefined });
  }

  /** @param candidates [items, d]; they are read at every `find` */
  follow(candidates: HostTensor): void {
    const [items, d] = candidates.shape;
    const blockCount = Math.ceil(items / BLOCK_ITEMS);
    this.#candidates = candidates;
    this.#blockItems = Math.ceil(items / blockCount);
    this.#largest = largest(candidates.data as Float32Array);
    const compared = d < ONE_PIECE ? withOnes(candidates) : candidates;
    const width = compared.shape[1];
    this.#blocks = {};
    for (let first = 0; first < items; first += this.#blockItems) {
      const count = Math.min(this.#blockItems, items - first);
      this.#blocks[`block ${first}`] = {
        dtype: 'float32',
        shape: [count, width],
        data: compared.data.subarray(first * width, (first + count) * width),
        frozen: compared.frozen,
      };
    }
  }

  /**
   * @param queries [count, d] of the rows
   * @param targets [count] item ids
   * @param seen of every row
   * @param padded rows of the compiled shape, at least count
   */
  async find(queries: Float32Array, targets: Int32Array, seen: ItemLists, padded: number): Promise<Places> {
    const count = targets.length;
    const { shape, data } = this.#candidates!;
    const d = shape[1];
    const ranks = new Int32Array(count).fill(-1);
    const seenAbove = new Int32Array(count);
    if (!(this.#largest * largest(queries) * d < HUGE)) return { ranks, seenAbove };
    const rows = new Float32Array(padded * d);
    rows.set(queries);
    const wanted = new Float32Array(Math.max(padded, COLUMNS) * d);
    targets.forEach((target, i) => {
      wanted.set((data as Float32Array).subarray(target * d, (target + 1) * d), i * d);
    });
    const pairs = new Pairs(targets, seen, {
      items: shape[0],
      blockItems: this.#blockItems,
      rows: padded,
    });
    const { found, scores } = await this.#place({
      queries: { dtype: 'float32', shape: [padded, d], data: rows },
      targets: { dtype: 'float32', shape: [wanted.length / d, d], data: wanted },
      pairs: pairs.tensor,
      ...this.#blocks,
    });
    let pair = 0;
    const nextLevel = () => found.data[pairs.places[pair++]];
    for (let i = 0; i < count; i++) {
      if (nextLevel() === TIE && Math.abs(scores.data[i]) >= TINY) {
        const sums = Array.from(
          { length: pairs.blocks },
          (_, b) => found.data[b * (padded + pairs.width) + i],
        );
        ranks[i] = rankFrom(sums, Math.floor(targets[i] / this.#blockItems));
      }
      for (let p = seen.offsets[i]; p < seen.offsets[i + 1]; p++) {
        const level = nextLevel();
        if (level === 1 || (level === TIE && seen.items[p] < targets[i])) seenAbove[i]++;
      }
    }
    return { ranks, seenAbove };
  }

  close(): Promise<void> {
    return this.#place.close();
  }
}

/**
 * The compiled part. `found` [blocks x (rows + n)] holds, for every block, each row's sum over its items, and what single
 * items added to the sums: those at `pairs` [blocks, n], places in the block's [rows, items]. `scores` [rows, 1] are the
 * targets'.
 */
function comparisons({ queries, targets, pairs, ...blocks }: Inputs): Record<string, tf.Tensor> {
  const rows = queries.shape[0];
  const columns = targets.shape[0];
  const products = tf.reshape(tf.matMul(queries as tf.Tensor2D, targets as tf.Tensor2D, false, true), [-1]);
  const diagonal = tf.tensor1d(
    Array.from({ length: rows }, (_, i) => i * (columns + 1)),
    'int32',
  );
  const scores = tf.reshape(tf.gather(products, diagonal), [rows, 1]) as tf.Tensor2D;
  const all = Object.values(blocks) as tf.Tensor2D[];
  // The product takes the target's score away by itself, in its last step, where the candidates have a column of ones.
  const subtracts = all[0].shape[1] > queries.shape[1]!;
  const compared = (subtracts ? tf.concat([queries, tf.neg(scores)], 1) : queries) as tf.Tensor2D;
  const found = all.map((block, b) => {
    const product = tf.matMul(compared, block, false, true);
    const level = hardSigmoid(subtracts ? product : tf.sub(product, scores), SLOPE, TIE);
    const places = tf.reshape(tf.slice(pairs as tf.Tensor2D, [b, 0], [1, -1]), [-1]) as tf.Tensor1D;
    // In one piece: onnxruntime would else go through all blocks for the sums, and keep them for the pairs.
    return tf.concat([tf.sum(level, 1), tf.gather(tf.reshape(level, [-1]), places)]) as tf.Tensor1D;
  });
  return { found: tf.concat(found), scores };
}

/** The rank of a target in block `own` from the sums of all blocks; -1 where another item of its block has its score. */
function rankFrom(sums: readonly number[], own: number): number {
  let rank = 0;
  for (let b = 0; b < sums.length; b++) {
    const above = Math.floor(sums[b]);
    const ties = (sums[b] - above) / TIE;
    if (b === own && ties !== 1) return -1;
    rank += above;
    // Items of earlier blocks have lower ids.
    if (b < own) rank += ties;
  }
  return rank;
}

interface PairsSize {
  /** Of the catalogue, and of a block. */
  items: number;
  blockItems: number;
  /** Of the compiled shape; the smallest n. */
  rows: number;
}

/** The target and the seen items of every row, in this order, sorted by block. */
class Pairs {
  readonly blocks: number;
  /** n */
  readonly width: number;
  /** [blocks, n] */
  readonly tensor: HostTensor;
  /** [pairs] where `found` has what a pair's item added. */
  readonly places: Int32Array;

  constructor(targets: Int32Array, seen: ItemLists, { items, blockItems, rows }: PairsSize) {
    const blocks = Math.ceil(items / blockItems);
    const count = targets.length + seen.items.length;
    const [row, item] = [new Int32Array(count), new Int32Array(count)];
    const perBlock = new Int32Array(blocks);
    let pair = 0;
    const add = (i: number, id: number) => {
      row[pair] = i;
      item[pair++] = id;
      perBlock[Math.floor(id / blockItems)]++;
    };
    targets.forEach((target, i) => {
      add(i, target);
      for (let p = seen.offsets[i]; p < seen.offsets[i + 1]; p++) add(i, seen.items[p]);
    });
    // Few widths, as each is compiled.
    let width = rows;
    while (width < Math.max(...perBlock)) width *= 4;
    const data = new Int32Array(blocks * width);
    this.places = new Int32Array(count);
    perBlock.fill(0);
    for (let p = 0; p < count; p++) {
      const block = Math.floor(item[p] / blockItems);
      const columns = Math.min(blockItems, items - block * blockItems);
      const place = perBlock[block]++;
      this.places[p] = block * (rows + width) + rows + place;
      data[block * width + place] = row[p] * columns + item[p] - block * blockItems;
    }
    this.blocks = blocks;
    this.width = width;
    this.tensor = { dtype: 'int32', shape: [blocks, width], data };
  }
}

/** [items, d + 1]: with a last column of ones. */
function withOnes({ shape: [items, d], data }: HostTensor): HostTensor {
  const widened = new Float32Array(items * (d + 1)).fill(1);
  for (let i = 0; i < items; i++)
    widened.set((data as Float32Array).subarray(i * d, (i + 1) * d), i * (d + 1));
  return { dtype: 'float32', shape: [items, d + 1], data: widened, frozen: true };
}

/** The largest magnitude; NaN where there is a NaN. */
function largest(values: Float32Array): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}
