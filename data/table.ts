import { UserError } from '../common/errors.ts';

/** Numbers names 0, 1, 2... in order of first appearance. */
export class Interner {
  readonly names: string[] = [];
  readonly #ids = new Map<string, number>();

  id(name: string): number {
    let id = this.#ids.get(name);
    if (id === undefined) {
      id = this.names.length;
      this.#ids.set(name, id);
      this.names.push(name);
    }
    return id;
  }

  find(name: string): number | undefined {
    return this.#ids.get(name);
  }
}

type NumberArray = Int32Array | Float64Array;

/** A typed array that grows. */
export class GrowingArray<A extends NumberArray> {
  length = 0;
  #values: A;

  constructor(empty: A) {
    this.#values = empty;
  }

  static int32(): GrowingArray<Int32Array> {
    return new GrowingArray(new Int32Array(1024));
  }

  static float64(): GrowingArray<Float64Array> {
    return new GrowingArray(new Float64Array(1024));
  }

  push(value: number): void {
    if (this.length === this.#values.length) {
      const larger = new (this.#values.constructor as new (n: number) => A)(2 * this.length + 1);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.length++] = value;
  }

  at(index: number): number {
    return this.#values[index];
  }

  /** A copy of exact length. */
  toArray(): A {
    return this.#values.slice(0, this.length) as A;
  }
}

/** Split numbers, in this order everywhere. */
export const splitNames = ['train', 'valid', 'test'] as const;
export type SplitName = (typeof splitNames)[number];

/** Rows whose histories a file spells out: row i's history is `history[offset[i]..offset[i + 1])`, oldest first. */
export interface HistoryRows {
  user: Int32Array;
  target: Int32Array;
  offset: Int32Array;
  history: Int32Array;
}

/** Gathers rows that bring their histories. */
export class HistoryBuilder {
  readonly #user = GrowingArray.int32();
  readonly #target = GrowingArray.int32();
  readonly #offset = GrowingArray.int32();
  readonly #history = GrowingArray.int32();

  add(user: number, target: number, history: Iterable<number>): void {
    this.#user.push(user);
    this.#target.push(target);
    this.#offset.push(this.#history.length);
    for (const item of history) this.#history.push(item);
  }

  rows(): HistoryRows {
    const offset = this.#offset;
    offset.push(this.#history.length);
    return {
      user: this.#user.toArray(),
      target: this.#target.toArray(),
      offset: offset.toArray(),
      history: this.#history.toArray(),
    };
  }
}

/** How many lines are named of every kind of bad rows. */
export const shownLines = 5;

/** Counts rows that cannot be read, and remembers where the first ones are. */
export class BadRows {
  readonly #strict: boolean;
  readonly #key: string;
  readonly #found = new Map<string, { file: string; reason: string; count: number; lines: number[] }>();
  total = 0;

  /** @param key the setting that makes the first bad row an error where `strict` */
  constructor(strict = false, key = 'data.strict') {
    this.#strict = strict;
    this.#key = key;
  }

  /** @throws UserError at the first one where the settings are strict. */
  add(file: string, reason: string, line: number): void {
    this.addAll(file, reason, 1, [line]);
  }

  /** Counts rows that share a reason; `lines` names the first ones. */
  addAll(file: string, reason: string, count: number, lines: readonly number[]): void {
    if (this.#strict) throw new UserError(`${file}: line ${lines[0]}: ${reason} (${this.#key} is set)`);
    const key = `${file}\n${reason}`;
    let entry = this.#found.get(key);
    if (!entry) {
      entry = { file, reason, count: 0, lines: [] };
      this.#found.set(key, entry);
    }
    entry.count += count;
    this.total += count;
    entry.lines.push(...lines.slice(0, shownLines - entry.lines.length));
  }

  list(): { file: string; reason: string; count: number; lines: number[] }[] {
    return [...this.#found.values()];
  }
}
