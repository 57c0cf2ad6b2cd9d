import { GrowingArray } from '../../data/table.ts';
import { stopWords } from './stop-words.ts';
import { type TokenizerName, tokenizers } from './tokens.ts';

/**
 * Which documents have which terms. The postings of term t lie at `starts[t]..starts[t + 1]`, documents ascending.
 * Nothing in it depends on BM25's parameters.
 */
export interface Postings {
  tokenizer: TokenizerName;
  /** term -> its number */
  terms: ReadonlyMap<string, number>;
  /** [terms + 1] */
  starts: Uint32Array;
  /** [postings] */
  documents: Int32Array;
  /** [postings] how often the document has the term, 65,535 at most. */
  counts: Uint8Array | Uint16Array;
  /** [documents] terms of every document, stop words excepted. */
  lengths: Int32Array;
}

const mostCounted = 65_535;
const chunkLength = 1 << 20;

/** Postings in the order they come, in chunks that grow without being copied: [term, count] of every document in turn. */
interface Chunk {
  terms: Int32Array;
  counts: Uint16Array;
}

/** Takes in texts one by one, and makes the postings of all of them. */
export class PostingsBuilder {
  readonly #tokenizer: TokenizerName;
  /** Stop words have the number -1. */
  readonly #terms = new Map<string, number>([...stopWords].map((word) => [word, -1]));
  #termCount = 0;
  readonly #chunks: Chunk[] = [];
  #postingCount = 0;
  readonly #lengths = GrowingArray.int32();
  /** How many distinct terms every document has. */
  readonly #distinct = GrowingArray.int32();
  /** How often the document at hand has each term; all zero between documents. */
  #here = new Int32Array(1 << 16);

  constructor(tokenizer: TokenizerName) {
    this.#tokenizer = tokenizer;
  }

  /** Adds the next document. */
  add(text: string): void {
    const distinct: number[] = [];
    let length = 0;
    for (const token of tokenizers[this.#tokenizer](text)) {
      const term = this.#number(token);
      if (term < 0) continue;
      length++;
      if (this.#here[term]++ === 0) distinct.push(term);
    }
    for (const term of distinct) {
      this.#push(term, Math.min(this.#here[term], mostCounted));
      this.#here[term] = 0;
    }
    this.#distinct.push(distinct.length);
    this.#lengths.push(length);
  }

  /** The postings of all documents added. The builder is empty afterwards. */
  finish(): Postings {
    const starts = new Uint32Array(this.#termCount + 1);
    let most = 0;
    this.#forEach((term, count) => {
      starts[term + 1]++;
      if (count > most) most = count;
    });
    for (let term = 0; term < this.#termCount; term++) starts[term + 1] += starts[term];
    const next = starts.slice();
    const documents = new Int32Array(this.#postingCount);
    const counts = most < 256 ? new Uint8Array(this.#postingCount) : new Uint16Array(this.#postingCount);
    let document = -1;
    let left = 0;
    this.#forEach((term, count) => {
      while (left === 0) left = this.#distinct.at(++document);
      left--;
      const at = next[term]++;
      documents[at] = document;
      counts[at] = count;
    });
    this.#chunks.length = 0;
    for (const word of stopWords) this.#terms.delete(word);
    return {
      tokenizer: this.#tokenizer,
      terms: this.#terms,
      starts,
      documents,
      counts,
      lengths: this.#lengths.toArray(),
    };
  }

  #number(token: string): number {
    const known = this.#terms.get(token);
    if (known !== undefined) return known;
    const term = this.#termCount++;
    this.#terms.set(token, term);
    if (term >= this.#here.length) {
      const larger = new Int32Array(2 * this.#here.length);
      larger.set(this.#here);
      this.#here = larger;
    }
    return term;
  }

  #push(term: number, count: number): void {
    const at = this.#postingCount++ % chunkLength;
    if (at === 0)
      this.#chunks.push({ terms: new Int32Array(chunkLength), counts: new Uint16Array(chunkLength) });
    const { terms, counts } = this.#chunks[this.#chunks.length - 1];
    terms[at] = term;
    counts[at] = count;
  }

  #forEach(use: (term: number, count: number) => void): void {
    let left = this.#postingCount;
    for (const { terms, counts } of this.#chunks) {
      const length = Math.min(left, chunkLength);
      for (let i = 0; i < length; i++) use(terms[i], counts[i]);
      left -= length;
    }
  }
}
