import type { Rows } from './dataset.ts';
import { GrowingArray, HistoryBuilder, type HistoryRows, type SplitName, splitNames } from './table.ts';

/** Rows of every split over one pool; users and items are still the reader's numbers. */
export interface PooledRows {
  pool: Int32Array;
  rows: Record<SplitName, Rows>;
  /** Rows left out because their history is empty. */
  emptyHistories: number;
}

/**
 * Rows that bring their histories, packed: a history that continues, or lies within, what the pool holds of the user
 * shares its place, whatever the order of the rows in the files and even where the files cut histories short; any
 * other is appended. Every slice equals the file's history. Rows keep the files' order.
 */
export function rowsOfHistories(source: Record<SplitName, HistoryRows>): PooledRows {
  const pool = GrowingArray.int32();
  const counts = splitNames.map((split) => source[split].user.length);
  const user = new Int32Array(counts[0] + counts[1] + counts[2]);
  splitNames.forEach((split, s) => {
    user.set(
      source[split].user,
      counts.slice(0, s).reduce((sum, n) => sum + n, 0),
    );
  });
  /** The history of a row, the rows of the three files being numbered one after the other. */
  const historyAt = (at: number): Int32Array => {
    let row = at;
    let s = 0;
    while (row >= counts[s]) row -= counts[s++];
    const { offset, history } = source[splitNames[s]];
    return history.subarray(offset[row], offset[row + 1]);
  };
  const length = Int32Array.from(user, (_, at) => historyAt(at).length);
  const start = new Int32Array(user.length);
  const { order, offset } = groupBy(user);
  for (let u = 0; u + 1 < offset.length; u++) {
    const shortestFirst = order
      .subarray(offset[u], offset[u + 1])
      .sort((a, b) => length[a] - length[b] || a - b);
    const packer = new Packer(pool);
    for (const at of shortestFirst) start[at] = packer.place(historyAt(at));
  }
  const building = { train: new RowsBuilder(), valid: new RowsBuilder(), test: new RowsBuilder() };
  let emptyHistories = 0;
  let at = 0;
  for (const split of splitNames)
    for (const target of source[split].target) {
      if (!length[at]) emptyHistories++;
      else building[split].add(user[at], start[at], start[at] + length[at], target);
      at++;
    }
  return { pool: pool.toArray(), rows: finishAll(building), emptyHistories };
}

/** Positions grouped by key, ascending within a group: group g is `order[offset[g]..offset[g + 1])`. */
function groupBy(keys: Int32Array): { order: Int32Array; offset: Int32Array } {
  let largest = -1;
  for (let i = 0; i < keys.length; i++) if (keys[i] > largest) largest = keys[i];
  const offset = new Int32Array(largest + 2);
  for (let i = 0; i < keys.length; i++) offset[keys[i] + 1]++;
  for (let g = 0; g <= largest; g++) offset[g + 1] += offset[g];
  const next = offset.slice();
  const order = new Int32Array(keys.length);
  for (let i = 0; i < keys.length; i++) order[next[keys[i]]++] = i;
  return { order, offset };
}

/** Lays the histories of one user into the end of a pool. */
class Packer {
  readonly #pool: GrowingArray<Int32Array>;
  readonly #base: number;
  #last: number;

  constructor(pool: GrowingArray<Int32Array>) {
    this.#pool = pool;
    this.#base = pool.length;
    this.#last = pool.length;
  }

  /** Where the history begins in the pool. */
  place(history: Int32Array): number {
    const pool = this.#pool;
    for (const start of [this.#base, this.#last, this.#last + 1])
      if (start + history.length <= pool.length && this.#agrees(history, start)) return this.#take(start);
    for (let start = this.#base; start + history.length <= pool.length; start++)
      if (this.#agrees(history, start)) return this.#take(start);
    let start = Math.max(this.#base, pool.length - history.length + 1);
    while (start < pool.length && !this.#agrees(history, start)) start++;
    for (let i = pool.length - start; i < history.length; i++) pool.push(history[i]);
    return this.#take(start);
  }

  #take(start: number): number {
    this.#last = start;
    return start;
  }

  /** True where the pool from `start` has the history's items, as far as both go. */
  #agrees(history: Int32Array, start: number): boolean {
    const n = Math.min(history.length, this.#pool.length - start);
    for (let i = 0; i < n; i++) if (this.#pool.at(start + i) !== history[i]) return false;
    return true;
  }
}

class RowsBuilder {
  readonly #columns = {
    user: GrowingArray.int32(),
    start: GrowingArray.int32(),
    end: GrowingArray.int32(),
    target: GrowingArray.int32(),
  };

  add(user: number, start: number, end: number, target: number): void {
    this.#columns.user.push(user);
    this.#columns.start.push(start);
    this.#columns.end.push(end);
    this.#columns.target.push(target);
  }

  finish(): Rows {
    const { user, start, end, target } = this.#columns;
    return { user: user.toArray(), start: start.toArray(), end: end.toArray(), target: target.toArray() };
  }
}

function finishAll(building: Record<SplitName, RowsBuilder>): Record<SplitName, Rows> {
  return { train: building.train.finish(), valid: building.valid.finish(), test: building.test.finish() };
}

/**
 * Numbers items in order of first appearance over the train, valid and test rows, a row's target before its history
 * (the official `remap_id`). Only these are candidates.
 * @returns the reader's numbers, in the new order.
 */
export function itemsInOrderOfAppearance({ pool, rows }: PooledRows, itemLimit: number): Int32Array {
  const order = GrowingArray.int32();
  const seen = new Uint8Array(itemLimit);
  const done = new Int32Array(pool.length);
  const see = (item: number): void => {
    if (seen[item]) return;
    seen[item] = 1;
    order.push(item);
  };
  for (const split of splitNames) {
    const { start, end, target } = rows[split];
    for (let i = 0; i < target.length; i++) {
      see(target[i]);
      const from = start[i];
      for (let k = from + done[from]; k < end[i]; k++) see(pool[k]);
      done[from] = Math.max(done[from], end[i] - from);
    }
  }
  return order.toArray();
}

/** Drops items from histories, and rows whose target is dropped (the official `filter_items_wo_metadata`). */
export function keepItemsOfHistories(rows: HistoryRows, passes: (item: number) => boolean): HistoryRows {
  const kept = new HistoryBuilder();
  for (let i = 0; i < rows.user.length; i++) {
    if (!passes(rows.target[i])) continue;
    const history = rows.history.subarray(rows.offset[i], rows.offset[i + 1]);
    kept.add(rows.user[i], rows.target[i], history.filter(passes));
  }
  return kept.rows();
}
