import { UserError } from '../common/errors.ts';
import type { Progress } from '../common/progress.ts';
import type { Rows } from '../data/dataset.ts';
import { type Metrics, rankMetrics } from './metrics.ts';
import { countAbove, countAtLeast, hasNaN, TopItems } from './scan.ts';
import type { EvalSettings } from './settings.ts';

/** Whatever gives every item a score for a row. */
export interface Scorer {
  /**
   * Scores of all items for the rows [first, first + count).
   * @returns [count, itemCount] row-major, higher is better, valid until the next call
   */
  score(rows: Rows, first: number, count: number): Promise<Float32Array>;
}

export interface RankingOptions extends EvalSettings {
  /** Also find each row's top items, for coverage and popularity. */
  lists: boolean;
  /** [itemCount] training counts; needed for popularity@k. */
  itemCounts?: Int32Array;
  progress: Progress;
}

export interface Ranking {
  /** Under the rule that `filterSeen` chose. */
  metrics: Metrics;
  /** [rows] 0-based rank of each row's target under that rule. */
  ranks: Int32Array;
  /** The same metrics under both rules: seen items compete (`kept`), or do not (`filtered`). */
  seen: { kept: Metrics; filtered: Metrics };
  /** coverage@k: share of the catalogue in some row's top k; popularity@k: mean training count of recommended items. */
  listMetrics?: Metrics;
}

/**
 * Ranks all items for every row and finds where the target came.
 *
 * A target's rank is the number of items that beat it: those with a higher score, and those with an equal score and a
 * lower item id. Its score is taken from the same product as its competitors', or rounding would decide ties.
 * `filterSeen` takes the items of the row's whole history out of the competition, except the target itself.
 *
 * @throws UserError where a score is NaN, or there are no rows
 */
export async function rankAll(
  dataset: { pool: Int32Array; itemCount: number },
  rows: Rows,
  scorer: Scorer,
  options: RankingOptions,
): Promise<Ranking> {
  const { itemCount } = dataset;
  const { batchSize, progress } = options;
  const tally = new RankTally(dataset, rows, options);
  const rowCount = rows.target.length;
  progress.begin('ranking', 'rows', rowCount);
  for (let first = 0; first < rowCount; first += batchSize) {
    const count = Math.min(batchSize, rowCount - first);
    const tile = await scorer.score(rows, first, count);
    if (tile.length !== count * itemCount)
      throw new Error(`the scorer returned ${tile.length} scores for ${count} rows of ${itemCount} items`);
    for (let i = 0; i < count; i++) {
      const scores = tile.subarray(i * itemCount, (i + 1) * itemCount);
      const rank = rankOf(scores, rows.target[first + i]);
      tally.add(first + i, scores, rank, (top, excluded) => top.scan(scores, excluded));
    }
    progress.advance(first + count, rowCount);
  }
  progress.end();
  return tally.ranking();
}

/** Gathers the ranks of all rows' targets, one row after the other. */
export class RankTally {
  readonly #rows: Rows;
  readonly #options: RankingOptions;
  readonly #kept: Int32Array;
  readonly #filtered: Int32Array;
  readonly #history: SeenItems;
  readonly #top: TopItems | undefined;
  readonly #listed: ListCounter;

  /** @throws UserError where there are no rows */
  constructor(
    { pool, itemCount }: { pool: Int32Array; itemCount: number },
    rows: Rows,
    options: RankingOptions,
  ) {
    const { topk, lists, itemCounts } = options;
    const rowCount = rows.target.length;
    if (!rowCount) throw new UserError('there are no rows to evaluate: this split of the dataset is empty');
    this.#rows = rows;
    this.#options = options;
    this.#kept = new Int32Array(rowCount);
    this.#filtered = new Int32Array(rowCount);
    this.#history = new SeenItems(pool, itemCount);
    this.#top = lists ? new TopItems(Math.min(Math.max(...topk), itemCount)) : undefined;
    this.#listed = new ListCounter(topk, itemCount, itemCounts);
  }

  /**
   * @param scores [itemCount] of the row
   * @param rank how many items beat the row's target
   * @param list finds the row's top items, without those `excluded`
   */
  add(
    row: number,
    scores: Float32Array,
    rank: number,
    list: (top: TopItems, excluded: ((item: number) => boolean) | undefined) => void,
  ): void {
    const history = this.#history;
    history.enter(this.#rows, row);
    this.#kept[row] = rank;
    this.#filtered[row] = rank - history.countBeating(scores, this.#rows.target[row]);
    if (!this.#top) return;
    list(this.#top, this.#options.filterSeen ? (item) => history.has(item) : undefined);
    this.#listed.add(this.#top);
  }

  ranking(): Ranking {
    const { topk, filterSeen, lists } = this.#options;
    const seen = { kept: rankMetrics(this.#kept, topk), filtered: rankMetrics(this.#filtered, topk) };
    return {
      metrics: filterSeen ? seen.filtered : seen.kept,
      ranks: filterSeen ? this.#filtered : this.#kept,
      seen,
      ...(lists && { listMetrics: this.#listed.metrics() }),
    };
  }
}

/** The number of items that beat `target`. */
function rankOf(scores: Float32Array, target: number): number {
  const score = scores[target];
  const above = countAtLeast(scores, 0, target, score) + countAbove(scores, target + 1, scores.length, score);
  if (Number.isNaN(score) || (Number.isNaN(above) && hasNaN(scores)))
    throw new UserError(
      'a score is not a number (NaN): the model has diverged. Train it with a lower learning rate, or check its input features for NaN',
    );
  if (Number.isNaN(above)) return countBothInfinities(scores, target);
  return above;
}

/** The plain count, for the rare row whose sum of scores is NaN because it holds both infinities. */
function countBothInfinities(scores: Float32Array, target: number): number {
  let rank = 0;
  for (let item = 0; item < scores.length; item++) if (beats(scores, item, target)) rank++;
  return rank;
}

/** Whether `item` comes before `target`: by its score, or, where the scores are equal, by its id. */
export function beats(scores: Float32Array, item: number, target: number): boolean {
  return scores[item] > scores[target] || (scores[item] === scores[target] && item < target);
}

/** The distinct items of one row's history, without its target. */
class SeenItems {
  readonly #pool: Int32Array;
  /** [itemCount] the last row that has seen the item. */
  readonly #row: Int32Array;
  #items: number[] = [];
  #current = -1;

  constructor(pool: Int32Array, itemCount: number) {
    this.#pool = pool;
    this.#row = new Int32Array(itemCount).fill(-1);
  }

  enter(rows: Rows, row: number): void {
    this.#current = row;
    this.#items = [];
    for (let p = rows.start[row]; p < rows.end[row]; p++) {
      const item = this.#pool[p];
      if (item === rows.target[row] || this.#row[item] === row) continue;
      this.#row[item] = row;
      this.#items.push(item);
    }
  }

  has(item: number): boolean {
    return this.#row[item] === this.#current;
  }

  countBeating(scores: Float32Array, target: number): number {
    let count = 0;
    for (const item of this.#items) if (beats(scores, item, target)) count++;
    return count;
  }
}

/** Gathers what the top-k lists of all rows say of the catalogue. */
class ListCounter {
  readonly #topk: readonly number[];
  readonly #itemCounts: Int32Array | undefined;
  /** [itemCount] best 0-based position of the item in any list. */
  readonly #bestPosition: Int32Array;
  /** [longest k] sum of training counts, and number of items, at each position. */
  readonly #countSum: Float64Array;
  readonly #filled: Float64Array;

  constructor(topk: readonly number[], itemCount: number, itemCounts?: Int32Array) {
    const longest = Math.max(...topk);
    this.#topk = topk;
    this.#itemCounts = itemCounts;
    this.#bestPosition = new Int32Array(itemCount).fill(longest);
    this.#countSum = new Float64Array(longest);
    this.#filled = new Float64Array(longest);
  }

  add({ items, size }: { items: Int32Array; size: number }): void {
    for (let position = 0; position < size; position++) {
      const item = items[position];
      if (position < this.#bestPosition[item]) this.#bestPosition[item] = position;
      this.#filled[position]++;
      if (this.#itemCounts) this.#countSum[position] += this.#itemCounts[item];
    }
  }

  metrics(): Metrics {
    const metrics: Metrics = {};
    for (const k of this.#topk) {
      let covered = 0;
      for (const position of this.#bestPosition) if (position < k) covered++;
      metrics[`coverage@${k}`] = covered / this.#bestPosition.length;
      if (this.#itemCounts) metrics[`popularity@${k}`] = sum(this.#countSum, k) / (sum(this.#filled, k) || 1);
    }
    return metrics;
  }
}

const sum = (values: Float64Array, length: number) => values.subarray(0, length).reduce((a, b) => a + b, 0);
