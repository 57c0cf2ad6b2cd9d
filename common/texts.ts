/** Texts by number, which need not all be in memory at once; an array of strings is one. */
export interface Texts extends Iterable<string> {
  readonly length: number;
  /** Undefined outside of 0 .. length - 1. */
  at(index: number): string | undefined;
  /** The texts from `from` up to `to`, in memory. */
  slice(from: number, to: number): readonly string[];
}

/** Texts that are made anew every time they are asked for. */
export class MadeTexts implements Texts {
  readonly length: number;
  readonly #make: (index: number) => string;

  constructor(length: number, make: (index: number) => string) {
    this.length = length;
    this.#make = make;
  }

  at(index: number): string | undefined {
    return index >= 0 && index < this.length ? this.#make(index) : undefined;
  }

  slice(from: number, to: number): readonly string[] {
    const length = Math.max(0, Math.min(to, this.length) - from);
    return Array.from({ length }, (_, i) => this.#make(from + i));
  }

  *[Symbol.iterator](): Iterator<string> {
    for (let i = 0; i < this.length; i++) yield this.#make(i);
  }
}
