import { UserError } from '../common/errors.ts';

/** RoBERTa's special tokens; the first four come first in its vocabulary, the mask last. */
const FIRST = ['<s>', '<pad>', '</s>', '<unk>'];
const LAST = '<mask>';

/** GPT-2's pre-tokenisation (Radford et al. 2019), as Hugging Face's ByteLevel does it. */
const PIECES = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** What a byte-level BPE tokenizer is made of. */
export interface Vocabulary {
  /** Token -> id. */
  vocab: Record<string, number>;
  /** 'left right', in the order learned. */
  merges: string[];
}

/** A kind of word: its symbols so far, and how often it occurs. */
interface Word {
  symbols: number[];
  count: number;
}

/**
 * Learns a byte-level BPE (Sennrich et al. 2016; bytes as in Radford et al. 2019): from the 256 bytes on, the most frequent
 * pair of neighbouring symbols is merged until the vocabulary is full or no pair occurs twice. Of equally frequent pairs
 * the one whose symbols are older is merged first, as in Hugging Face's trainer.
 * @param size of the vocabulary, special tokens included
 */
export class BpeTrainer {
  readonly #counts = new Map<string, number>();

  /** Counts the words of a text. */
  add(text: string): void {
    for (const [piece] of text.matchAll(PIECES)) this.#counts.set(piece, (this.#counts.get(piece) ?? 0) + 1);
  }

  train(size: number, check: () => void = () => {}): Vocabulary {
    const characters = byteCharacters();
    const symbols = [...characters].sort();
    const least = FIRST.length + symbols.length + 1;
    if (size < least)
      throw new UserError(`a byte-level vocabulary has at least ${least} tokens; ${size} are too few`);
    const symbolOf = new Map(symbols.map((character, symbol) => [character, symbol]));
    const words = [...this.#counts].map(([piece, count]) => ({
      symbols: Array.from(Buffer.from(piece, 'utf8'), (byte) => symbolOf.get(characters[byte])!),
      count,
    }));
    const pairs = new PairCounts(words);
    const merges: string[] = [];
    while (symbols.length + FIRST.length + 1 < size) {
      check();
      const best = pairs.mostFrequent();
      if (!best) break;
      const [left, right] = best;
      pairs.merge(left, right, symbols.length);
      merges.push(`${symbols[left]} ${symbols[right]}`);
      symbols.push(symbols[left] + symbols[right]);
    }
    const tokens = [...FIRST, ...symbols, LAST];
    return { vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges };
  }
}

/** Two symbols as one number: left * 2^26 + right, exact in a double. */
const RADIX = 2 ** 26;

/** How often each pair of neighbouring symbols occurs, and in which words. */
class PairCounts {
  readonly #words: Word[];
  readonly #counts = new Map<number, number>();
  readonly #places = new Map<number, Set<number>>();
  /** Pairs by frequency; what has changed since it was put in is passed over. */
  readonly #queue = new Heap();

  constructor(words: Word[]) {
    this.#words = words;
    for (const w of words.keys()) this.#count(w, 1);
    for (const [key, count] of this.#counts) this.#queue.push(count, key);
  }

  /** Adds or takes away the pairs of a word; returns their keys. */
  #count(w: number, sign: 1 | -1): number[] {
    const { symbols, count } = this.#words[w];
    const keys = symbols.slice(1).map((symbol, i) => symbols[i] * RADIX + symbol);
    for (const key of keys) {
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + sign * count);
      if (sign < 0) continue;
      const places = this.#places.get(key);
      if (places) places.add(w);
      else this.#places.set(key, new Set([w]));
    }
    return keys;
  }

  /** The most frequent pair; undefined where none occurs twice. */
  mostFrequent(): [left: number, right: number] | undefined {
    for (let top = this.#queue.pop(); top && top.count > 1; top = this.#queue.pop())
      if (this.#counts.get(top.key) === top.count) return [Math.floor(top.key / RADIX), top.key % RADIX];
    return undefined;
  }

  merge(left: number, right: number, into: number): void {
    const changed = new Set<number>();
    const key = left * RADIX + right;
    for (const w of this.#places.get(key) ?? []) {
      const word = this.#words[w];
      for (const pair of this.#count(w, -1)) changed.add(pair);
      const merged: number[] = [];
      for (const symbol of word.symbols) {
        if (symbol === right && merged.at(-1) === left) merged[merged.length - 1] = into;
        else merged.push(symbol);
      }
      word.symbols = merged;
      for (const pair of this.#count(w, 1)) changed.add(pair);
    }
    this.#places.delete(key);
    for (const pair of changed) this.#queue.push(this.#counts.get(pair)!, pair);
  }
}

interface Counted {
  count: number;
  key: number;
}

/** A binary heap: the largest count first, of equal ones the smallest key. */
class Heap {
  readonly #items: Counted[] = [];

  push(count: number, key: number): void {
    const items = this.#items;
    let at = items.push({ count, key }) - 1;
    for (let up = (at - 1) >> 1; at > 0 && before(items[at], items[up]); up = (at - 1) >> 1) {
      [items[at], items[up]] = [items[up], items[at]];
      at = up;
    }
  }

  pop(): Counted | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (!items.length || !last) return top;
    items[0] = last;
    for (let at = 0; ; ) {
      const children = [2 * at + 1, 2 * at + 2].filter((child) => child < items.length);
      const first =
        children.length === 2 && before(items[children[1]], items[children[0]]) ? children[1] : children[0];
      if (first === undefined || !before(items[first], items[at])) return top;
      [items[at], items[first]] = [items[first], items[at]];
      at = first;
    }
  }
}

const before = (a: Counted, b: Counted) => a.count > b.count || (a.count === b.count && a.key < b.key);

/** The printable character that stands for each byte: itself where printable, else one from 256 on (GPT-2's table). */
function byteCharacters(): string[] {
  let next = 256;
  const printable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
}
