import { UserError } from '../common/errors.ts';
import type { Progress } from '../common/progress.ts';
import type { Rows } from '../data/dataset.ts';
import { type Metrics, rankMetrics } from './metrics.ts';
import { TopItems } from './scan.ts';
import type { EvalSettings } from './settings.ts';

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
  /** The same under both rules. */
  seenRanks: { kept: Int32Array; filtered: Int32Array };
  /** The same metrics under both rules: seen items compete (`kept`), or do not (`filtered`). */
  seen: { kept: Metrics; filtered: Metrics };
  /** coverage@k: share of the catalogue in some row's top k; popularity@k: mean training count of recommended items. */
  listMetrics?: Metrics;
}

/** Gathers the ranks of all rows' targets, and their lists. */
export class RankTally {
  /** Longest list that is wanted; 0 where none is. */
  readonly listLength: number;
  readonly #rows: Rows;
  readonly #options: RankingOptions;
  readonly #kept: Int32Array;
  readonly #filtered: Int32Array;
  readonly #history: SeenItems;
  readonly #top: TopItems;
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
    this.listLength = lists ? Math.min(Math.max(...topk), itemCount) : 0;
    this.#top = new TopItems(this.listLength);
    this.#listed = new ListCounter(topk, itemCount, itemCounts);
  }

  /** The distinct items of a row's history, without its target. */
  seenItems(row: number): readonly number[] {
    return this.#history.enter(this.#rows, row);
  }

  /**
   * @param rank how many items beat the row's target
   * @param seenAbove how many of the row's seen items do
   */
  add(row: number, rank: number, seenAbove: number): void {
    this.#kept[row] = rank;
    this.#filtered[row] = rank - seenAbove;
  }

  /** As `add`, from the row's scores [itemCount]. */
  addScored(row: number, scores: Float32Array, rank: number): void {
    const target = this.#rows.target[row];
    let seenAbove = 0;
    for (const item of this.seenItems(row)) if (beats(scores, item, target)) seenAbove++;
    this.add(row, rank, seenAbove);
  }

  /** @param list finds the row's top items, without those `excluded` */
  addList(
    row: number,
    list: (top: TopItems, excluded: ((item: number) => boolean) | undefined) => void,
  ): void {
    const history = this.#history;
    if (this.#options.filterSeen) history.enter(this.#rows, row);
    list(this.#top, this.#options.filterSeen ? (item) => history.has(item) : undefined);
    this.#listed.add(this.#top);
  }

  ranking(): Ranking {
    const { topk, filterSeen, lists } = this.#options;
    const seenRanks = { kept: this.#kept, filtered: this.#filtered };
    const seen = { kept: rankMetrics(this.#kept, topk), filtered: rankMetrics(this.#filtered, topk) };
    const rule = filterSeen ? 'filtered' : 'kept';
    return {
      metrics: seen[rule],
      ranks: seenRanks[rule],
      seenRanks,
      seen,
      ...(lists && { listMetrics: this.#listed.metrics() }),
    };
  }
}

/** Whether `item` comes before `target`: by its score, or, where the scores are equal, by its id. */
export function beats(scores: Float32Array, item: number, target: number): boolean {
  return scores[item] > scores[target] || (scores[item] === scores[target] && item < target);
}

/** The distinct items of one row's history, without its target. */
class SeenItems {
  readonly #pool: Int32Array;
  /** [itemCount] the last visit that met the item. */
  readonly #visit: Int32Array;
  #current = 0;

  constructor(pool: Int32Array, itemCount: number) {
    this.#pool = pool;
    this.#visit = new Int32Array(itemCount);
  }

  enter(rows: Rows, row: number): readonly number[] {
    this.#current++;
    const items: number[] = [];
    for (let p = rows.start[row]; p < rows.end[row]; p++) {
      const item = this.#pool[p];
      if (item === rows.target[row] || this.has(item)) continue;
      this.#visit[item] = this.#current;
      items.push(item);
    }
    return items;
  }

  has(item: number): boolean {
    return this.#visit[item] === this.#current;
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
