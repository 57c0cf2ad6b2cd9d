/** Items found for one query, best first; equal scores in the order of item numbers. */
export interface Hits {
  items: Int32Array;
  scores: Float64Array;
}

/** The k best of the items offered, in whatever order they come. A heap, its worst item at the root. */
export class TopK {
  readonly #k: number;
  readonly #items: Int32Array;
  readonly #scores: Float64Array;
  #size = 0;
  /** What a score must exceed to get in: the worst of k kept, `floor` while fewer are kept. */
  threshold: number;

  constructor(k: number, floor = Number.NEGATIVE_INFINITY) {
    this.#k = k;
    this.#items = new Int32Array(k);
    this.#scores = new Float64Array(k);
    this.threshold = floor;
  }

  /** Takes an item in where it is among the best so far. Of equal scores the lower item number is better. */
  offer(item: number, score: number): void {
    if (this.#size < this.#k) {
      if (!(score > this.threshold)) return;
      this.#rise(this.#size++, item, score);
      if (this.#size === this.#k) this.threshold = this.#scores[0];
    } else if (this.#isWorse(0, item, score)) {
      this.#sink(item, score);
      this.threshold = this.#scores[0];
    }
  }

  /** Empties into a sorted list. */
  take(): Hits {
    const order = Int32Array.from({ length: this.#size }, (_, i) => i);
    order.sort((a, b) => this.#scores[b] - this.#scores[a] || this.#items[a] - this.#items[b]);
    return {
      items: order.map((i) => this.#items[i]),
      scores: Float64Array.from(order, (i) => this.#scores[i]),
    };
  }

  /** Whether what lies at a place is worse than an item. */
  #isWorse(place: number, item: number, score: number): boolean {
    const other = this.#scores[place];
    return other < score || (other === score && this.#items[place] > item);
  }

  #rise(from: number, item: number, score: number): void {
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.#isWorse(parent, item, score)) break;
      this.#move(parent, place);
      place = parent;
    }
    this.#items[place] = item;
    this.#scores[place] = score;
  }

  /** Puts an item in the place of the worst. */
  #sink(item: number, score: number): void {
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.#size) break;
      const next = child + 1;
      if (next < this.#size && this.#isWorse(next, this.#items[child], this.#scores[child])) child = next;
      if (!this.#isWorse(child, item, score)) break;
      this.#move(child, place);
      place = child;
    }
    this.#items[place] = item;
    this.#scores[place] = score;
  }

  #move(from: number, to: number): void {
    this.#items[to] = this.#items[from];
    this.#scores[to] = this.#scores[from];
  }
}
