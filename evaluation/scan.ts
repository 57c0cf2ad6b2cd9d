/*
 * The loops over every score of every row. Adding `Number(comparison)` to an integer compiles to a compare and a set,
 * without a branch: a branch on scores around the target's is mispredicted and costs four times as much. The sum of
 * the scores runs beside it almost free, and is NaN where any score is.
 */

/**
 * How many of scores[from..to) are greater than `threshold`. NaN where the scores' sum is: some score is NaN, or both
 * infinities occur (`hasNaN` tells).
 */
export function countAbove(scores: Float32Array, from: number, to: number, threshold: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let sum = 0;
  let i = from;
  for (; i + 3 < to; i += 4) {
    const p = scores[i];
    const q = scores[i + 1];
    const r = scores[i + 2];
    const s = scores[i + 3];
    a = (a + Number(p > threshold)) | 0;
    b = (b + Number(q > threshold)) | 0;
    c = (c + Number(r > threshold)) | 0;
    d = (d + Number(s > threshold)) | 0;
    sum += p + q + (r + s);
  }
  for (; i < to; i++) {
    a += Number(scores[i] > threshold);
    sum += scores[i];
  }
  return Number.isNaN(sum) ? Number.NaN : a + b + c + d;
}

/** As `countAbove`, of scores that are greater than or equal to `threshold`. */
export function countAtLeast(scores: Float32Array, from: number, to: number, threshold: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let sum = 0;
  let i = from;
  for (; i + 3 < to; i += 4) {
    const p = scores[i];
    const q = scores[i + 1];
    const r = scores[i + 2];
    const s = scores[i + 3];
    a = (a + Number(p >= threshold)) | 0;
    b = (b + Number(q >= threshold)) | 0;
    c = (c + Number(r >= threshold)) | 0;
    d = (d + Number(s >= threshold)) | 0;
    sum += p + q + (r + s);
  }
  for (; i < to; i++) {
    a += Number(scores[i] >= threshold);
    sum += scores[i];
  }
  return Number.isNaN(sum) ? Number.NaN : a + b + c + d;
}

export function hasNaN(scores: Float32Array): boolean {
  return scores.some(Number.isNaN);
}

/** The first index in [from, to) whose score is greater than `threshold`, or `to`. */
function nextAbove(scores: Float32Array, from: number, to: number, threshold: number): number {
  let i = from;
  for (; i + 3 < to; i += 4) {
    if (
      scores[i] > threshold ||
      scores[i + 1] > threshold ||
      scores[i + 2] > threshold ||
      scores[i + 3] > threshold
    )
      break;
  }
  while (i < to && !(scores[i] > threshold)) i++;
  return i;
}

/**
 * The best items of one row of scores; equal scores in the order of item ids. Kept sorted by insertion: scores that
 * come in random order pass the threshold only about k ln(items / k) times.
 */
export class TopItems {
  /** [k] item ids, best first; the first `size` are valid. */
  readonly items: Int32Array;
  size = 0;
  readonly #scores: Float32Array;

  constructor(k: number) {
    this.items = new Int32Array(k);
    this.#scores = new Float32Array(k);
  }

  /** Finds the top of scores[0..length); items for which `excluded` holds are left out. */
  scan(scores: Float32Array, excluded?: (item: number) => boolean): void {
    const k = this.items.length;
    this.size = 0;
    let item = 0;
    for (; this.size < k && item < scores.length; item++) {
      if (!excluded?.(item)) this.#insert(item, scores[item]);
    }
    if (this.size < k) return;
    const last = this.#scores;
    for (;;) {
      item = nextAbove(scores, item, scores.length, last[k - 1]);
      if (item === scores.length) return;
      if (!excluded?.(item)) this.#insert(item, scores[item]);
      item++;
    }
  }

  /** Empties the list, for `offer`. */
  clear(): void {
    this.size = 0;
  }

  /** Takes in an item, in any order of items, where it belongs into the list. */
  offer(item: number, score: number): void {
    if (this.size < this.items.length || this.#isBefore(item, score, this.size - 1))
      this.#insert(item, score);
  }

  #isBefore(item: number, score: number, position: number): boolean {
    const other = this.#scores[position];
    return score > other || (score === other && item < this.items[position]);
  }

  /** Drops the last item where the list is full; the caller has seen that `score` beats it. */
  #insert(item: number, score: number): void {
    let position = this.size < this.items.length ? this.size++ : this.size - 1;
    for (; position > 0 && this.#isBefore(item, score, position - 1); position--) {
      this.#scores[position] = this.#scores[position - 1];
      this.items[position] = this.items[position - 1];
    }
    this.#scores[position] = score;
    this.items[position] = item;
  }
}
