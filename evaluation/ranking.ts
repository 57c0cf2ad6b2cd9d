import { UserError } from '../common/errors.ts';
import type { Rows } from '../data/dataset.ts';
import { countAbove, countAtLeast, hasNaN } from './scan.ts';
import { beats, type Ranking, type RankingOptions, RankTally } from './tally.ts';

/** Whatever gives every item a score for a row. */
export interface Scorer {
  /**
   * Scores of all items for the rows [first, first + count).
   * @returns [count, itemCount] row-major, higher is better, valid until the next call
   */
  score(rows: Rows, first: number, count: number): Promise<Float32Array>;
  /**
   * Where the rows' targets come among all items, without the scores themselves; where a scorer has it, `rankAll` asks
   * for scores of few rows only. It must count by the scores that `score` gives.
   * @param seen of every row, the items that `seenAbove` is about
   */
  rank?(rows: Rows, first: number, count: number, seen: ItemLists): Promise<Places>;
  /**
   * Few items for each of the rows, among them its k best ones by `score`; undefined where only the scores can tell.
   * Without it, or without `rank`, lists take all scores.
   */
  shortlist?(rows: Rows, first: number, count: number, k: number): Promise<Shortlists | undefined>;
}

/** Items of each row of a tile, in any order, and their scores. */
export interface Shortlists {
  /** [count, width] */
  items: Int32Array;
  /** [count, width] */
  scores: Float32Array;
  width: number;
}

/** A list of items for every row of a tile: that of row i is items[offsets[i]..offsets[i + 1]). */
export interface ItemLists {
  offsets: Int32Array;
  items: Int32Array;
}

export interface Places {
  /** [count] how many items beat the row's target; -1 where only the scores can tell. */
  ranks: Int32Array;
  /** [count] how many of the row's seen items do. */
  seenAbove: Int32Array;
}

/** Bytes of scores that are looked at at once, where that is more than one row. */
const SCORE_BYTES = 32 << 20;

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
  const { batchSize, progress } = options;
  const tally = new RankTally(dataset, rows, options);
  const rowCount = rows.target.length;
  const most = Math.max(1, Math.floor(SCORE_BYTES / (4 * dataset.itemCount)));
  progress.begin('ranking', 'rows', rowCount);
  for (let first = 0; first < rowCount; first += batchSize) {
    const count = Math.min(batchSize, rowCount - first);
    const seen = seenLists(tally, first, count);
    const k = tally.listLength + (options.filterSeen ? longest(seen) : 0);
    const shortlists = options.lists ? await scorer.shortlist?.(rows, first, count, k) : undefined;
    // Where lists need all scores, ranks follow from them.
    const unplaced =
      scorer.rank && (shortlists || !options.lists)
        ? addPlaces(tally, first, await scorer.rank(rows, first, count, seen))
        : undefined;
    const listed = (i: number) => shortlists !== undefined && unplaced?.has(i) === false;
    if (shortlists) addShortlists(tally, first, count, shortlists, listed);
    const needed = (i: number) => !unplaced || unplaced.has(i) || (options.lists && !listed(i));
    for (const { from, size } of stretches(count, needed, most)) {
      const tile = await scorer.score(rows, first + from, size);
      if (tile.length !== size * dataset.itemCount)
        throw new Error(
          `the scorer returned ${tile.length} scores for ${size} rows of ${dataset.itemCount} items`,
        );
      for (let i = 0; i < size; i++) {
        const row = first + from + i;
        const scores = tile.subarray(i * dataset.itemCount, (i + 1) * dataset.itemCount);
        tally.addScored(row, scores, rankOf(scores, rows.target[row]));
        if (options.lists) tally.addList(row, (top, excluded) => top.scan(scores, excluded));
      }
    }
    progress.advance(first + count, rowCount);
  }
  progress.end();
  return tally.ranking();
}

/** The seen items of the rows [first, first + count). */
function seenLists(tally: RankTally, first: number, count: number): ItemLists {
  const offsets = new Int32Array(count + 1);
  const items: number[] = [];
  for (let i = 0; i < count; i++) {
    for (const item of tally.seenItems(first + i)) items.push(item);
    offsets[i + 1] = items.length;
  }
  return { offsets, items: Int32Array.from(items) };
}

/** Takes in what is known of the rows from `first` on; returns the places in the tile of those that are not known. */
function addPlaces(tally: RankTally, first: number, { ranks, seenAbove }: Places): Set<number> {
  const unplaced = new Set<number>();
  for (let i = 0; i < ranks.length; i++) {
    if (ranks[i] < 0) unplaced.add(i);
    else tally.add(first + i, ranks[i], seenAbove[i]);
  }
  return unplaced;
}

const longest = ({ offsets }: ItemLists) =>
  offsets.reduce((most, end, i) => Math.max(most, end - (offsets[i - 1] ?? 0)), 0);

function addShortlists(
  tally: RankTally,
  first: number,
  count: number,
  { items, scores, width }: Shortlists,
  listed: (i: number) => boolean,
): void {
  for (let i = 0; i < count; i++) {
    if (!listed(i)) continue;
    tally.addList(first + i, (top, excluded) => {
      top.clear();
      for (let place = i * width; place < (i + 1) * width; place++)
        if (!excluded?.(items[place])) top.offer(items[place], scores[place]);
    });
  }
}

/** The stretches of 0..count-1 for which `needed` holds, cut into pieces of at most `most`. */
function* stretches(
  count: number,
  needed: (i: number) => boolean,
  most: number,
): Generator<{ from: number; size: number }> {
  for (let from = 0; from < count; ) {
    let end = from;
    while (end < count && end - from < most && needed(end)) end++;
    if (end > from) yield { from, size: end - from };
    from = Math.max(end, from + 1);
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
