import type { Random } from '../../common/random.ts';

/** Token ids of many texts, end to end. Ids of usual vocabularies take two bytes each. */
export class TokenStore {
  #ids: Uint16Array | Int32Array;
  #ends = new Float64Array(1024);
  /** Texts held. */
  count = 0;

  constructor(vocabularySize: number) {
    this.#ids = vocabularySize <= 65536 ? new Uint16Array(65536) : new Int32Array(65536);
  }

  push(ids: readonly number[]): void {
    const start = this.#start(this.count);
    if (start + ids.length > this.#ids.length) this.#ids = grown(this.#ids, start + ids.length);
    if (this.count === this.#ends.length) this.#ends = grown(this.#ends, this.count + 1);
    this.#ids.set(ids, start);
    this.#ends[this.count++] = start + ids.length;
  }

  #start(text: number): number {
    return text ? this.#ends[text - 1] : 0;
  }

  length(text: number): number {
    return this.#ends[text] - this.#start(text);
  }

  /** A view of a text's ids. */
  get(text: number): Uint16Array | Int32Array {
    return this.#ids.subarray(this.#start(text), this.#ends[text]);
  }
}

function grown<A extends Uint16Array | Int32Array | Float64Array>(array: A, least: number): A {
  const larger = new (array.constructor as new (n: number) => A)(Math.max(least, 2 * array.length));
  larger.set(array);
  return larger;
}

/** Tokenized pairs of one split. */
export interface PairTokens {
  reviews: TokenStore;
  /** Each item's text once, items of other splits included. */
  items: TokenStore;
  /** [pairs] which of `items` a review is about. */
  itemOf: Int32Array;
}

/**
 * The batches of an epoch: pairs in random order, `size` of them each.
 * @param distinctItems no item is in a batch twice: its second review would be pushed away from what it is about. Pairs
 *   wait for the next batch that has room for them.
 * @returns numbers of pairs; those that fill no whole batch are left out of this epoch
 */
export function planBatches(
  itemOf: Int32Array,
  size: number,
  random: Random,
  distinctItems: boolean,
): Int32Array[] {
  const order = random.shuffle(Int32Array.from(itemOf, (_, pair) => pair));
  if (!distinctItems)
    return Array.from({ length: Math.floor(order.length / size) }, (_, i) =>
      order.subarray(i * size, (i + 1) * size),
    );
  const batches: number[][] = [];
  /** The first batch that an item is not in yet, and the first one with room. */
  const free = new Map<number, number>();
  let room = 0;
  for (const pair of order) {
    let at = Math.max(room, free.get(itemOf[pair]) ?? 0);
    while (batches[at]?.length === size) at++;
    batches[at] ??= [];
    batches[at].push(pair);
    free.set(itemOf[pair], at + 1);
    while (batches[room]?.length === size) room++;
  }
  return batches.filter((batch) => batch.length === size).map((batch) => Int32Array.from(batch));
}
