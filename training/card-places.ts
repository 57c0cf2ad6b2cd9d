import {
  type Compiled,
  type CompileOptions,
  compile,
  type HostTensor,
  type Inputs,
  tf,
} from '../engine/index.ts';
import type { ItemLists, Places } from '../evaluation/ranking.ts';

/** Bytes of the scores that a graph holds at once. */
const SCORE_BYTES = 128 * 2 ** 20;

/**
 * Finds where the targets of some rows come among all items on a device that the scores stay on: what leaves it are counts, and
 * the scores of seen items. A target's score is taken from the product that its competitors' come from.
 */
export class CardPlaces {
  readonly #place: Compiled;
  #candidates: HostTensor | undefined;

  constructor(options: CompileOptions) {
    this.#place = compile(counts, { ...options, parameters: undefined });
  }

  /** @param candidates [items, d]; they are read at every `find` */
  follow(candidates: HostTensor): void {
    this.#candidates = candidates;
  }

  /**
   * @param queries [count, d] of the rows
   * @param targets [count] item ids
   * @param seen of every row
   * @param padded rows of the compiled shape, at least count
   */
  async find(queries: Float32Array, targets: Int32Array, seen: ItemLists, padded: number): Promise<Places> {
    const count = targets.length;
    const places: Places = { ranks: new Int32Array(count).fill(-1), seenAbove: new Int32Array(count) };
    const [items] = this.#candidates!.shape;
    const fitting = 2 ** Math.floor(Math.log2(Math.max(2, SCORE_BYTES / (4 * items))));
    const tile = Math.min(padded, fitting);
    for (let first = 0; first < count; first += tile)
      await this.#findTile(
        queries,
        targets,
        seen,
        { first, rows: Math.min(tile, count - first), tile },
        places,
      );
    return places;
  }

  async #findTile(
    queries: Float32Array,
    targets: Int32Array,
    seen: ItemLists,
    { first, rows, tile }: { first: number; rows: number; tile: number },
    { ranks, seenAbove }: Places,
  ): Promise<void> {
    const [items, d] = this.#candidates!.shape;
    const [from, to] = [seen.offsets[first], seen.offsets[first + rows]];
    // Few widths, as each is compiled.
    let width = tile;
    while (width < to - from) width *= 4;
    const pairs = new Int32Array(width);
    const eachSeen = (use: (row: number, pair: number) => void) => {
      for (let row = 0; row < rows; row++)
        for (let p = seen.offsets[first + row]; p < seen.offsets[first + row + 1]; p++) use(row, p - from);
    };
    eachSeen((row, pair) => {
      pairs[pair] = row * items + seen.items[from + pair];
    });
    const vectors = new Float32Array(tile * d);
    vectors.set(queries.subarray(first * d, (first + rows) * d));
    const wanted = new Int32Array(tile);
    wanted.set(targets.subarray(first, first + rows));
    const { above, scores, seenScores } = await this.#place({
      queries: { dtype: 'float32', shape: [tile, d], data: vectors },
      targets: { dtype: 'int32', shape: [tile], data: wanted },
      pairs: { dtype: 'int32', shape: [width], data: pairs },
      candidates: this.#candidates!,
    });
    for (let row = 0; row < rows; row++)
      if (Number.isFinite(above.data[row])) ranks[first + row] = above.data[row];
    eachSeen((row, pair) => {
      const [score, target] = [scores.data[row], targets[first + row]];
      const ties = seenScores.data[pair] === score && seen.items[from + pair] < target;
      if (seenScores.data[pair] > score || ties) seenAbove[first + row]++;
    });
  }

  close(): Promise<void> {
    return this.#place.close();
  }
}

/** How many items beat each row's target, NaN where a score is none; the targets' scores, and those at the places `pairs`. */
function counts({ queries, candidates, targets, pairs }: Inputs): Record<string, tf.Tensor> {
  const product = tf.matMul(queries as tf.Tensor2D, candidates as tf.Tensor2D, false, true);
  const [rows, items] = product.shape;
  const flat = tf.reshape(product, [-1]);
  const iota = (n: number, step: number) =>
    tf.tensor1d(
      Array.from({ length: n }, (_, i) => i * step),
      'int32',
    );
  const scores = tf.gather(flat, tf.add(iota(rows, items), targets) as tf.Tensor1D);
  const column = tf.reshape(scores, [rows, 1]);
  const earlier = tf.less(tf.reshape(iota(items, 1), [1, items]), tf.reshape(targets, [rows, 1]));
  const ties = tf.logicalAnd(tf.equal(product, column), earlier);
  const beats = tf.add(tf.cast(tf.greater(product, column), 'float32'), tf.cast(ties, 'float32'));
  // A score that is not finite makes this not a number.
  const broken = tf.sum(tf.sub(product, product), 1);
  return {
    above: tf.add(tf.sum(beats, 1), broken),
    scores,
    seenScores: tf.gather(flat, pairs as tf.Tensor1D),
  };
}
