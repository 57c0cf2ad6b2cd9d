import { closeSync, openSync, readSync } from 'node:fs';
import { explainFileError } from '../common/files.ts';
import { MadeTexts } from '../common/texts.ts';

/** Bytes that are read ahead where texts are asked for one after the other. */
const AHEAD = 1 << 18;

/**
 * Texts that stay on disk: line i of a file of JSON strings, one a line.
 * @param offset [lines + 1] where each line begins, and where the last ends, in bytes.
 */
export function openTexts(path: string, offset: Float64Array): MadeTexts {
  const reader = new Reader(path);
  return new MadeTexts(
    offset.length - 1,
    (i) => JSON.parse(reader.read(offset[i], offset[i + 1]).toString('utf8')) as string,
  );
}

const unused = new FinalizationRegistry<number>(closeSync);

/** Reads stretches of a file, which stays open for as long as somebody may ask. */
class Reader {
  readonly #path: string;
  readonly #file: number;
  #block = Buffer.alloc(0);
  #blockStart = 0;
  #lastEnd = 0;

  constructor(path: string) {
    this.#path = path;
    try {
      this.#file = openSync(path, 'r');
    } catch (error) {
      throw explainFileError(error, path);
    }
    unused.register(this, this.#file);
  }

  /** Bytes `from` up to `to`; valid until the next call. */
  read(from: number, to: number): Buffer {
    const known = from >= this.#blockStart && to <= this.#blockStart + this.#block.length;
    if (!known) this.#load(from, from === this.#lastEnd ? Math.max(to, from + AHEAD) : to);
    this.#lastEnd = to;
    return this.#block.subarray(from - this.#blockStart, to - this.#blockStart);
  }

  #load(from: number, to: number): void {
    const block = Buffer.alloc(to - from);
    let read = 0;
    try {
      for (let n = -1; n && read < block.length; read += n)
        n = readSync(this.#file, block, read, block.length - read, from + read);
    } catch (error) {
      throw explainFileError(error, this.#path);
    }
    this.#block = block.subarray(0, read);
    this.#blockStart = from;
  }
}
