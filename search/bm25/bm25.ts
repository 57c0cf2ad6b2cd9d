import { z } from 'zod';
import { type Hits, TopK } from '../top-k.ts';
import type { Postings } from './postings.ts';
import { tokenizers } from './tokens.ts';

/** The `bm25.*` keys of a configuration; defaults are the paper's. */
export const bm25Settings = z.strictObject({
  k1: z.number().nonnegative().default(1.5).describe('how late repetitions of a term stop to count'),
  b: z.number().min(0).max(1).default(0.75).describe('how much long texts are discounted'),
  epsilon: z
    .number()
    .nonnegative()
    .default(0.25)
    .describe(
      'a term in more than half of the texts weighs this share of the mean inverse document frequency',
    ),
  tokenizer: z
    .enum(['words', 'nltk'])
    .default('words')
    .describe(
      "words: lower-cased runs of letters and digits. nltk: as the paper's script, NLTK's word_tokenize, case and punctuation kept",
    ),
  lengthNorm: z
    .enum(['document', 'corpus'])
    .default('document')
    .describe(
      "what is compared with the mean length: a text's own length, or, as the paper's script has it by mistake, the number of texts",
    ),
});
export type Bm25Settings = z.output<typeof bm25Settings>;

/** How many postings queries had in all, and how many of them were looked at. */
export interface Work {
  postings: number;
  scored: number;
}

/**
 * What a term adds to a score is rounded to a multiple of this, and counted in it: sums of whole numbers are the same in any
 * order, so that a score does not depend on which terms were skipped, and equal texts have equal scores.
 */
const UNIT = 2 ** -26;
/** Adding and subtracting it rounds to a whole number, as the sum has no bits to spare for fractions. */
const ROUND = 1.5 * 2 ** 52;
/** Documents of a window: their scores stay in the first-level cache. */
const WINDOW = 1 << 12;
/** To look a document up in a term's postings costs as much as to pass over so many of them. */
const LOOK_UP = 16;

/**
 * BM25 (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework", section 3) with the inverse document frequency
 * log((N - df + 0.5) / (df + 0.5)) and a floor for frequent terms, as rank-bm25's BM25Okapi. Terms count as often as a
 * query repeats them. Found are documents with a positive score.
 */
export class Bm25 {
  readonly #postings: Postings;
  /** [terms] the most a document can get for the term, per unit of weight. */
  readonly #saturation: Float64Array;
  /** [terms] inverse document frequency times (k1 + 1), in units. */
  readonly #weights: Float64Array;
  /** [documents] k1 (1 - b + b length / mean length) */
  readonly #norms: Float64Array;
  readonly #scores = new Float64Array(WINDOW);
  /** A bit a place of the window: whether its document is a candidate. */
  readonly #touched = new Int32Array(WINDOW / 32);
  readonly #places = new Int32Array(WINDOW + 1);
  readonly work: Work = { postings: 0, scored: 0 };

  constructor(postings: Postings, settings: Bm25Settings) {
    this.#postings = postings;
    this.#norms = norms(postings.lengths, settings);
    this.#weights = weights(postings, settings);
    this.#saturation = saturations(postings, this.#norms);
  }

  /** The k best documents; fewer where fewer have a term of the query. */
  search(query: string, k: number): Hits {
    const top = new TopK(k, 0);
    const cursors = this.#cursors(query);
    if (cursors.length) this.#scan(cursors, top);
    const { items, scores } = top.take();
    return { items, scores: scores.map((score) => score * UNIT) };
  }

  /** The query's terms, those that can add least first. */
  #cursors(query: string): Cursor[] {
    const { terms, starts, tokenizer } = this.#postings;
    const found = new Map<number, number>();
    for (const token of tokenizers[tokenizer](query)) {
      const term = terms.get(token);
      if (term !== undefined) found.set(term, (found.get(term) ?? 0) + 1);
    }
    const cursors = Array.from(found, ([term, times]): Cursor => {
      const weight = this.#weights[term] * times;
      const bound = Math.max(0, Math.ceil(weight * this.#saturation[term]));
      this.work.postings += starts[term + 1] - starts[term];
      return { weight, bound, at: starts[term], end: starts[term + 1] };
    });
    return cursors.sort((a, b) => a.bound - b.bound);
  }

  /**
   * MaxScore (Turtle and Flood 1995), window by window: terms that together cannot lift a document over the threshold bring
   * up no candidates, and are consulted only where candidates of the other terms may still get there.
   */
  #scan(cursors: Cursor[], top: TopK): void {
    /** What the terms up to this one can add together. */
    const reach: number[] = [];
    for (const { bound } of cursors) reach.push(bound + (reach.at(-1) ?? 0));
    let first = 0;
    for (;;) {
      while (first < cursors.length && reach[first] <= top.threshold) first++;
      const base = this.#nextWindow(cursors, first);
      if (base === undefined) return;
      for (let i = first; i < cursors.length; i++) this.#accumulate(cursors[i], base, true);
      const most = first ? reach[first - 1] : 0;
      let count = this.#candidates(top.threshold - most);
      for (let i = first - 1; i >= 0 && count > 0; i--) {
        this.#complete(cursors[i], base, count);
        count = this.#retain(count, top.threshold - (i ? reach[i - 1] : 0));
      }
      for (let c = 0; c < count; c++) top.offer(base + this.#places[c], this.#scores[this.#places[c]]);
      this.#scores.fill(0);
    }
  }

  /** The first document of the next window that has any of the terms from `first` on. */
  #nextWindow(cursors: readonly Cursor[], first: number): number | undefined {
    const { documents } = this.#postings;
    let next = Number.POSITIVE_INFINITY;
    for (let i = first; i < cursors.length; i++) {
      const { at, end } = cursors[i];
      if (at < end && documents[at] < next) next = documents[at];
    }
    return next === Number.POSITIVE_INFINITY ? undefined : next - (next % WINDOW);
  }

  /** Adds a term's share to the scores of a window; `touch` makes its documents candidates. */
  #accumulate(cursor: Cursor, base: number, touch: boolean): void {
    const { documents, counts } = this.#postings;
    const norms = this.#norms;
    const scores = this.#scores;
    const touched = this.#touched;
    const { weight, end } = cursor;
    const limit = base + WINDOW;
    let at = cursor.at;
    for (; at < end; at++) {
      const document = documents[at];
      if (document >= limit) break;
      const count = counts[at];
      const place = document - base;
      scores[place] += (weight * count) / (count + norms[document]) + ROUND - ROUND;
      if (touch) touched[place >> 5] |= 1 << (place & 31);
    }
    this.work.scored += at - cursor.at;
    cursor.at = at;
  }

  /** Lists the touched places whose score exceeds a threshold, in ascending order; returns how many. */
  #candidates(threshold: number): number {
    const touched = this.#touched;
    const scores = this.#scores;
    const places = this.#places;
    let count = 0;
    for (let word = 0; word < touched.length; word++) {
      let bits = touched[word];
      if (bits === 0) continue;
      touched[word] = 0;
      while (bits !== 0) {
        const place = (word << 5) + 31 - Math.clz32(bits & -bits);
        bits &= bits - 1;
        places[count] = place;
        count += Number(scores[place] > threshold);
      }
    }
    return count;
  }

  /** Keeps the candidates whose score exceeds a threshold; returns how many. */
  #retain(count: number, threshold: number): number {
    const places = this.#places;
    const scores = this.#scores;
    let kept = 0;
    for (let c = 0; c < count; c++) {
      places[kept] = places[c];
      kept += Number(scores[places[c]] > threshold);
    }
    return kept;
  }

  /** Adds a term's share to the scores of the candidates: by a pass over the window, or candidate by candidate where they are few. */
  #complete(cursor: Cursor, base: number, count: number): void {
    const { documents, counts } = this.#postings;
    cursor.at = seek(documents, cursor.at, cursor.end, base);
    const share = ((cursor.end - cursor.at) * WINDOW) / (this.#norms.length - base);
    if (count * LOOK_UP > share) {
      this.#accumulate(cursor, base, false);
      return;
    }
    for (let c = 0; c < count; c++) {
      const place = this.#places[c];
      cursor.at = seek(documents, cursor.at, cursor.end, base + place);
      this.work.scored++;
      if (cursor.at === cursor.end) return;
      if (documents[cursor.at] !== base + place) continue;
      const times = counts[cursor.at];
      this.#scores[place] += (cursor.weight * times) / (times + this.#norms[base + place]) + ROUND - ROUND;
    }
  }
}

/** A term of a query on its way through its postings `at..end`. */
interface Cursor {
  weight: number;
  /** The most that it adds to a document. */
  bound: number;
  at: number;
  end: number;
}

/** The first place in [from, end) with a document not below `wanted`: steps that double, then halves. */
function seek(documents: Int32Array, from: number, end: number, wanted: number): number {
  let low = from;
  let step = 1;
  while (low + step < end && documents[low + step] < wanted) {
    low += step;
    step *= 2;
  }
  let high = Math.min(low + step, end);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (documents[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

function norms(lengths: Int32Array, { k1, b, lengthNorm }: Bm25Settings): Float64Array {
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  return Float64Array.from(
    lengths,
    (length) => k1 * (1 - b + (b * (lengthNorm === 'document' ? length : lengths.length)) / mean),
  );
}

function weights({ starts, lengths }: Postings, { k1, epsilon }: Bm25Settings): Float64Array {
  const idf = new Float64Array(starts.length - 1);
  for (let term = 0; term < idf.length; term++) {
    const found = starts[term + 1] - starts[term];
    idf[term] = Math.log(lengths.length - found + 0.5) - Math.log(found + 0.5);
  }
  const floor = (epsilon * idf.reduce((sum, x) => sum + x, 0)) / idf.length;
  return idf.map((x) => ((x < 0 ? floor : x) * (k1 + 1)) / UNIT);
}

function saturations({ starts, documents, counts }: Postings, norms: Float64Array): Float64Array {
  const most = new Float64Array(starts.length - 1);
  for (let term = 0; term < most.length; term++)
    for (let at = starts[term]; at < starts[term + 1]; at++) {
      const share = counts[at] / (counts[at] + norms[documents[at]]);
      if (share > most[term]) most[term] = share;
    }
  return most;
}
