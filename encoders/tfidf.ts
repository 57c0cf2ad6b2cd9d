import type { Texts } from '../common/texts.ts';
import type { Check } from './linear-algebra.ts';
import type { SparseMatrix } from './truncated-svd.ts';

export interface TfidfOptions {
  /** Longest word n-gram that counts as a term. */
  ngrams: number;
  /** Terms found in fewer texts than this are left out. */
  minCount: number;
}

/** Terms are known by a hash of this many bits; among the terms of a million texts about one in ten shares its hash. */
const hashBits = 22;

/** Words of a text: runs of letters, marks and digits in any script, lower-cased. */
export function words(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
}

/** TF-IDF weights of hashed word n-grams, fitted to a corpus: sublinear tf, smoothed idf, rows of length 1. */
export class Tfidf {
  readonly #options: TfidfOptions;
  /** Column of a hashed term, -1 where it is not used. */
  readonly #column = new Int32Array(1 << hashBits).fill(-1);
  #idf = new Float64Array(0);

  constructor(options: TfidfOptions) {
    this.#options = options;
  }

  /** Number of columns. */
  get width(): number {
    return this.#idf.length;
  }

  /** Counts in how many texts each term is found, and keeps those found in `minCount` texts. */
  fit(texts: Texts, check: Check): void {
    const found = new Int32Array(1 << hashBits);
    for (let i = 0; i < texts.length; i++) {
      if (i % 512 === 0) check();
      for (const hash of this.#count(texts.at(i)!).keys()) found[hash]++;
    }
    const idf: number[] = [];
    for (let hash = 0; hash < found.length; hash++) {
      if (found[hash] < this.#options.minCount || !found[hash]) continue;
      this.#column[hash] = idf.length;
      idf.push(Math.log((1 + texts.length) / (1 + found[hash])) + 1);
    }
    this.#idf = Float64Array.from(idf);
  }

  /** One row a text; a text without known terms has an empty row. */
  transform(texts: Texts, check: Check): SparseMatrix {
    const start = new Int32Array(texts.length + 1);
    const columns: number[] = [];
    const values: number[] = [];
    for (let i = 0; i < texts.length; i++) {
      if (i % 512 === 0) check();
      let squares = 0;
      for (const [hash, count] of this.#count(texts.at(i)!)) {
        const column = this.#column[hash];
        if (column < 0) continue;
        const value = (1 + Math.log(count)) * this.#idf[column];
        columns.push(column);
        values.push(value);
        squares += value * value;
      }
      start[i + 1] = columns.length;
      const norm = Math.sqrt(squares);
      for (let e = start[i]; e < columns.length; e++) values[e] /= norm;
    }
    return {
      rows: texts.length,
      width: this.width,
      start,
      columns: Int32Array.from(columns),
      values: Float32Array.from(values),
    };
  }

  /** How often each hashed term is found in a text, in order of first appearance. */
  #count(text: string): Map<number, number> {
    const counts = new Map<number, number>();
    const hashes = words(text).map(hashWord);
    for (let first = 0; first < hashes.length; first++) {
      let hash = 0;
      for (let n = 0; n < this.#options.ngrams && first + n < hashes.length; n++) {
        hash = mix(Math.imul(hash, 0x01000193) ^ hashes[first + n]);
        const term = hash >>> (32 - hashBits);
        counts.set(term, (counts.get(term) ?? 0) + 1);
      }
    }
    return counts;
  }
}

/** FNV-1a over UTF-16 code units, 32 bits. */
function hashWord(word: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 0x01000193);
  return hash;
}

/** Finaliser of MurmurHash3: every bit of the hash depends on every bit of the input. */
function mix(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
