import seedrandom from 'seedrandom';

/** Host-side random numbers (shuffles, initial weights, generated data), seeded by a list of words. */
export interface Random {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Uniform integer in [0, n). */
  below(n: number): number;
  /** Standard normal (Marsaglia's polar method). */
  normal(): number;
  /** Fisher-Yates, in place; returns its argument. */
  shuffle<T extends { length: number; [index: number]: unknown }>(array: T): T;
}

/** A stream of its own for every distinct list: seeded(seed, 'shuffle', epoch) never depends on what ran before. */
export function seeded(...words: readonly (string | number)[]): Random {
  const next = seedrandom.alea(words.join('/'));
  let spare: number | undefined;
  return {
    uniform: next,
    below: (n) => Math.floor(next() * n),
    normal() {
      if (spare !== undefined) {
        const value = spare;
        spare = undefined;
        return value;
      }
      for (;;) {
        const u = 2 * next() - 1;
        const v = 2 * next() - 1;
        const s = u * u + v * v;
        if (s === 0 || s >= 1) continue;
        const scale = Math.sqrt((-2 * Math.log(s)) / s);
        spare = v * scale;
        return u * scale;
      }
    },
    shuffle(array) {
      for (let i = array.length - 1; i > 0; i--) {
        const j = Math.floor(next() * (i + 1));
        const held = array[i];
        (array as Record<number, unknown>)[i] = array[j];
        (array as Record<number, unknown>)[j] = held;
      }
      return array;
    },
  };
}
