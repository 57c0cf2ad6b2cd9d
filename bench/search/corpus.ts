import { closeSync, openSync, writeSync } from 'node:fs';
import { seeded } from '../../common/random.ts';
import { stopWords } from '../../search/bm25/stop-words.ts';

/** Words that occur at all, some of them once only. */
const VOCABULARY = 400_000;
/** Amazon-C4's numbers (paper, Table 6). */
export const amazonC4 = { texts: 1_058_417, textLength: 539, queries: 21_223, queryLength: 230 };

/**
 * Texts whose words follow Zipf's law (the r-th word is 1 / r as frequent as the first), the most frequent ones being English
 * stop words; without any structure beyond that. The same seed gives the same texts.
 */
export class ZipfTexts {
  readonly #words: string[];
  readonly #cumulative: Float64Array;

  constructor() {
    const random = seeded('bench vocabulary');
    const known = new Set([...stopWords].filter((word) => /^[a-z]{2,}$/.test(word)));
    const consonants = 'bcdfghklmnprstvwz';
    const vowels = 'aeiou';
    while (known.size < VOCABULARY) {
      // Frequent words are short.
      const syllables = 1 + random.below(known.size < 3000 ? 3 : 4);
      let word = '';
      for (let s = 0; s < syllables; s++)
        word += consonants[random.below(consonants.length)] + vowels[random.below(vowels.length)];
      if (random.below(2)) word += consonants[random.below(consonants.length)];
      known.add(known.size % 50 === 0 ? `${word}${random.below(100)}` : word);
    }
    this.#words = [...known];
    let sum = 0;
    this.#cumulative = Float64Array.from(this.#words, (_, rank) => (sum += 1 / (rank + 1)));
  }

  /** Writes texts of about this many characters, one a line. */
  write(path: string, seed: string, count: number, length: number): void {
    const random = seeded('bench texts', seed);
    const file = openSync(path, 'w');
    let block: string[] = [];
    for (let i = 0; i < count; i++) {
      const wanted = length * (0.2 + 1.6 * random.uniform());
      let text = '';
      while (text.length < wanted) text += (text && ' ') + this.#draw(random.uniform());
      block.push(text);
      if (block.length < 4096 && i < count - 1) continue;
      writeSync(file, `${block.join('\n')}\n`);
      block = [];
    }
    closeSync(file);
  }

  #draw(uniform: number): string {
    const wanted = uniform * this.#cumulative[VOCABULARY - 1];
    let low = 0;
    let high = VOCABULARY - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#cumulative[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    return this.#words[low];
  }
}
