import { seeded } from '../common/random.ts';
import type { LossSettings } from '../configs/train-settings.ts';

/** Negatives of one step. */
export interface Negatives {
  /** Item ids; an item may come several times. */
  ids: Int32Array;
  /** Added to their scores: -log(expected count) where that is corrected, else 0. */
  offsets: Float32Array;
}

/** Draws the negatives of every step: a function of (seed, step), so that a resumed training draws the same. */
export class NegativeSampler {
  readonly #settings: LossSettings;
  readonly #seed: number;
  /** [items] sums of the weights up to and including an item; undefined where all weigh alike. */
  readonly #cumulated: Float64Array | undefined;
  readonly #itemCount: number;

  /** @param trainCounts [items] how many training rows have the item as their target */
  constructor(settings: LossSettings, trainCounts: Int32Array, seed: number) {
    this.#settings = settings;
    this.#seed = seed;
    this.#itemCount = trainCounts.length;
    if (settings.sampling === 'uniform') return;
    const exponent = settings.sampling === 'batch' ? 1 : settings.popularityExponent;
    let sum = 0;
    this.#cumulated = Float64Array.from(trainCounts, (count) => {
      sum += count && count ** exponent;
      return sum;
    });
  }

  /** The negatives of a step whose rows have these targets, the first `targetCount` of which are real. */
  draw(step: number, target: Int32Array, targetCount: number): Negatives {
    const { sampling, negatives, logQ } = this.#settings;
    if (sampling === 'batch') {
      const offsets = Float32Array.from(target, (id, i) =>
        i >= targetCount ? -1e9 : logQ ? -Math.log(targetCount * this.#probability(id)) : 0,
      );
      return { ids: target, offsets };
    }
    const random = seeded(this.#seed, 'negatives', step);
    const ids = Int32Array.from({ length: negatives }, () => this.#item(random.uniform()));
    const offsets = Float32Array.from(ids, (id) => (logQ ? -Math.log(negatives * this.#probability(id)) : 0));
    return { ids, offsets };
  }

  #probability(id: number): number {
    const sums = this.#cumulated;
    if (!sums) return 1 / this.#itemCount;
    return (sums[id] - (id ? sums[id - 1] : 0)) / sums[sums.length - 1];
  }

  /** The item at a place in [0, 1) of the cumulated weights. */
  #item(place: number): number {
    const sums = this.#cumulated;
    if (!sums) return Math.floor(place * this.#itemCount);
    const wanted = place * sums[sums.length - 1];
    let [low, high] = [0, sums.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Lists the distinct items of several lists, and where in it every entry of theirs stands. */
export class ItemList {
  /** [items] the item's place in the list of this round. */
  readonly #place: Int32Array;
  readonly #round: Int32Array;
  #rounds = 0;

  constructor(itemCount: number) {
    this.#place = new Int32Array(itemCount);
    this.#round = new Int32Array(itemCount);
  }

  /** @returns the distinct ids in order of appearance, and a list of places for every list of ids */
  gather(lists: readonly Int32Array[]): { ids: Int32Array; places: Int32Array[] } {
    this.#rounds++;
    const ids: number[] = [];
    const places = lists.map((list) =>
      list.map((id) => {
        if (this.#round[id] !== this.#rounds) {
          this.#round[id] = this.#rounds;
          this.#place[id] = ids.length;
          ids.push(id);
        }
        return this.#place[id];
      }),
    );
    return { ids: Int32Array.from(ids), places };
  }
}
