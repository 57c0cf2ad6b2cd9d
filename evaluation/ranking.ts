import { UserError } from '../common/errors.ts';
import type { Progress } from '../common/progress.ts';
import type { Rows } from '../data/dataset.ts';
import { type Metrics, rankMetrics } from './metrics.ts';
import { countAbove, countAtLeast, hasNaN, TopItems } from './scan.ts';
import type { EvalSettings } from './settings.ts';

/** Whatever gives every item a score for a row: a model, a baseline. */
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
  const { pool, itemCount } = dataset;
  const { topk, filterSeen, lists, batchSize, itemCounts, progress } = options;
  const rowCount = rows.target.length;
  if (!rowCount) throw new UserError('there are no rows to evaluate: this split of the dataset is empty');
  const kept = new Int32Array(rowCount);
  const filtered = new Int32Array(rowCount);
  const history = new SeenItems(pool, itemCount);
  const top = lists ? new TopItems(Math.min(Math.max(...topk), itemCount)) : undefined;
  const listed = new ListCounter(topk, itemCount, itemCounts);

  progress.begin('ranking', 'rows', rowCount);
  for (let first = 0; first < rowCount; first += batchSize) {
    const count = Math.min(batchSize, rowCount - first);
    const tile = await scorer.score(rows, first, count);
    if (tile.length !== count * itemCount)
      throw new Error(`the scorer returned ${tile.length} scores for ${count} rows of ${itemCount} items`);
    for (let i = 0; i < count; i++) {
      const row = first + i;
      const scores = tile.subarray(i * itemCount, (i + 1) * itemCount);
      const target = rows.target[row];
      kept[row] = rankOf(scores, target);
      history.enter(rows, row);
      filtered[row] = kept[row] - history.countBeating(scores, target);
      if (!top) continue;
      top.scan(scores, filterSeen ? (item) => history.has(item) : undefined);
      listed.add(top);
    }
    progress.advance(first + count, rowCount);
  }
  progress.end();

  const seen = { kept: rankMetrics(kept, topk), filtered: rankMetrics(filtered, topk) };
  return {
    metrics: filterSeen ? seen.filtered : seen.kept,
    ranks: filterSeen ? filtered : kept,
    seen,
    ...(lists && { listMetrics: listed.metrics() }),
  };
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

function beats(scores: Float32Array, item: number, target: number): boolean {
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

/** How many rows have each item as their target: [itemCount]. The training counts that `popularityScorer` takes. */
export function targetCounts(targets: Int32Array, itemCount: number): Int32Array {
  const counts = new Int32Array(itemCount);
  for (const target of targets) counts[target]++;
  return counts;
}

/** The simplest recommender, a yardstick for all others: every row gets the items that were training targets most often. */
export function popularityScorer(trainCounts: Int32Array): Scorer {
  const row = Float32Array.from(trainCounts);
  let tile = new Float32Array(0);
  return {
    async score(_rows, _first, count) {
      const length = count * row.length;
      if (tile.length < length) {
        tile = new Float32Array(length);
        for (let start = 0; start < length; start += row.length) tile.set(row, start);
      }
      return tile.subarray(0, length);
    },
  };
}
