import { UserError } from '../common/errors.ts';
import type { Rows } from '../data/dataset.ts';
import type { TopItems } from './scan.ts';
import { beats, type Ranking, type RankingOptions, RankTally } from './tally.ts';

/** Scores that are the same for all rows, but for a few items a row. */
export interface SparseScores {
  /** [itemCount] higher is better. */
  base: Float32Array;
  /**
   * Overwrites what a row's history changes, in scores [itemCount] that hold `base`.
   * @returns the items written, each once
   */
  rescore?(history: Int32Array, scores: Float32Array): readonly number[];
}

/**
 * The ranking that `rankAll` gives, without a look at the items that a row leaves alone: those are sorted once for
 * all. A row costs the number of items that it changes, not the number of all items.
 *
 * @throws UserError where a score is NaN, or there are no rows
 */
export function rankSparse(
  dataset: { pool: Int32Array; itemCount: number },
  rows: Rows,
  { base, rescore }: SparseScores,
  options: RankingOptions,
): Ranking {
  const { progress } = options;
  const tally = new RankTally(dataset, rows, options);
  const order = new SortedScores(base);
  const scores = base.slice();
  const rowCount = rows.target.length;
  progress.begin('ranking', 'rows', rowCount);
  for (let row = 0; row < rowCount; row++) {
    const history = dataset.pool.subarray(rows.start[row], rows.end[row]);
    const changed = rescore?.(history, scores) ?? [];
    const rank = order.rankOf(rows.target[row], scores, changed);
    tally.addScored(row, scores, rank);
    if (options.lists) tally.addList(row, (top, excluded) => order.list(top, scores, changed, excluded));
    for (const item of changed) scores[item] = base[item];
    if (row % 128 === 127) progress.advance(row + 1, rowCount);
  }
  progress.end();
  return tally.ranking();
}

/** All items in the order of their unchanged scores. */
class SortedScores {
  readonly #base: Float32Array;
  /** [itemCount] items, best first, and the place of every item among them. */
  readonly #order: Int32Array;
  readonly #place: Int32Array;

  constructor(base: Float32Array) {
    if (base.some(Number.isNaN)) throw notANumber();
    this.#base = base;
    this.#order = Int32Array.from(base.keys()).sort((a, b) => (beats(base, a, b) ? -1 : 1));
    this.#place = new Int32Array(base.length);
    this.#order.forEach((item, place) => {
      this.#place[item] = place;
    });
  }

  /** The number of items that beat `target` by `scores`, of which only `changed` differ from the unchanged ones. */
  rankOf(target: number, scores: Float32Array, changed: readonly number[]): number {
    const unchangedAbove = this.#countAbove(scores[target], target);
    let rank = unchangedAbove;
    for (const item of changed) {
      if (Number.isNaN(scores[item])) throw notANumber();
      if (this.#place[item] < unchangedAbove) rank--;
      if (beats(scores, item, target)) rank++;
    }
    return rank;
  }

  /** How many items, by their unchanged scores, come before an item of that score and id. */
  #countAbove(score: number, id: number): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const item = this.#order[middle];
      if (this.#base[item] > score || (this.#base[item] === score && item < id)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  list(
    top: TopItems,
    scores: Float32Array,
    changed: readonly number[],
    excluded: ((item: number) => boolean) | undefined,
  ): void {
    const others = new Set(changed);
    top.clear();
    for (const item of changed) if (!excluded?.(item)) top.offer(item, scores[item]);
    let offered = 0;
    for (let place = 0; offered < top.items.length && place < this.#order.length; place++) {
      const item = this.#order[place];
      if (others.has(item) || excluded?.(item)) continue;
      top.offer(item, scores[item]);
      offered++;
    }
  }
}

const notANumber = () => new UserError('a score is not a number (NaN): the baseline counted wrongly');
