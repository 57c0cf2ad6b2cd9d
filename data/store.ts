import { closeSync, openSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashFile, writeFully } from '../common/files.ts';
import { layOut } from '../common/safetensors.ts';
import type { Manifest } from './dataset.ts';
import { type SplitName, splitNames } from './table.ts';

/**
 * A prepared dataset on disk is a folder:
 * - manifest.json: the Manifest
 * - arrays.safetensors: int32 `pool`, and `train.user`, `train.start`, `train.end`, `train.target`, likewise for valid and
 *   test; float64 `texts.offset`, where line i of texts.jsonl begins, and where the last ends
 * - ids.jsonl: line i is the id of item i, as a JSON string
 * - texts.jsonl: line i is the text of item i, as a JSON string; empty where the source has no texts
 * - seal.json: format version, and SHA-256 of the other files; written last
 *
 * Everything is written as it comes, so that preparation needs no memory for it.
 */
export const formatVersion = 2;
export const files = ['manifest.json', 'arrays.safetensors', 'ids.jsonl', 'texts.jsonl'] as const;
export const columns = ['user', 'start', 'end', 'target'] as const;

export interface Seal {
  formatVersion: number;
  sha256: Record<string, string>;
}

/** How many numbers and lines a dataset will have. */
export interface StoreSizes extends Record<SplitName, number> {
  pool: number;
  items: number;
}

type RowColumns = Record<(typeof columns)[number], Column>;

/** Takes a prepared dataset number by number and item by item; rows and pool in their order, items in theirs. */
export class StoreWriter {
  readonly pool: Column;
  readonly rows: Record<SplitName, RowColumns>;
  readonly #columns: Column[] = [];
  readonly #offsets: Column;
  readonly #ids: LineFile;
  readonly #texts: LineFile;

  /** @param open opens a new file of the folder. */
  constructor(open: (name: string) => number, sizes: StoreSizes) {
    const shapes = new Map<string, ['I32' | 'F64', number]>([
      ['texts.offset', ['F64', sizes.items + 1]],
      ['pool', ['I32', sizes.pool]],
    ]);
    for (const split of splitNames)
      for (const column of columns) shapes.set(`${split}.${column}`, ['I32', sizes[split]]);
    const { header, start } = layOut(
      [...shapes].map(([name, [dtype, length]]) => [name, { dtype, shape: [length] }] as const),
    );
    const arrays = open('arrays.safetensors');
    writeFully(arrays, header);
    const column = (name: string): Column => {
      const [dtype, length] = shapes.get(name)!;
      const made = new Column(name, arrays, start.get(name)!, length, dtype);
      this.#columns.push(made);
      return made;
    };
    const ofSplit = (split: SplitName): RowColumns => ({
      user: column(`${split}.user`),
      start: column(`${split}.start`),
      end: column(`${split}.end`),
      target: column(`${split}.target`),
    });
    this.pool = column('pool');
    this.rows = { train: ofSplit('train'), valid: ofSplit('valid'), test: ofSplit('test') };
    this.#offsets = column('texts.offset');
    this.#ids = new LineFile(open('ids.jsonl'));
    this.#texts = new LineFile(open('texts.jsonl'));
  }

  /** The next item; `text` is undefined for every item where the source has no texts. */
  item(id: string, text: string | undefined): void {
    this.#offsets.push(this.#texts.length);
    this.#ids.line(JSON.stringify(id));
    if (text !== undefined) this.#texts.line(JSON.stringify(text));
  }

  finish(): void {
    this.#offsets.push(this.#texts.length);
    for (const column of this.#columns) column.finish();
    this.#ids.flush();
    this.#texts.flush();
  }
}

/** Writes the arrays and items of a prepared dataset into a folder; `fill` brings them. */
export async function writeStore(
  folder: string,
  sizes: StoreSizes,
  fill: (writer: StoreWriter) => Promise<void>,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const opened: number[] = [];
  const open = (name: string): number => {
    const file = openSync(join(folder, name), 'wx');
    opened.push(file);
    return file;
  };
  try {
    const writer = new StoreWriter(open, sizes);
    await fill(writer);
    writer.finish();
  } finally {
    for (const file of opened) closeSync(file);
  }
}

/** Adds what makes the folder a prepared dataset that can be read. */
export async function sealStore(folder: string, manifest: Manifest): Promise<void> {
  await writeFile(join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  const sha256: Record<string, string> = {};
  for (const file of files) sha256[file] = await hashFile(join(folder, file));
  await writeFile(join(folder, 'seal.json'), JSON.stringify({ formatVersion, sha256 } satisfies Seal));
}

/** One tensor, filled from its first number to its last. */
export class Column {
  readonly #name: string;
  readonly #file: number;
  readonly #buffer: Int32Array | Float64Array;
  #position: number;
  #missing: number;
  #filled = 0;

  constructor(name: string, file: number, position: number, length: number, dtype: 'I32' | 'F64') {
    this.#name = name;
    this.#file = file;
    this.#position = position;
    this.#missing = length;
    this.#buffer = dtype === 'I32' ? new Int32Array(8192) : new Float64Array(8192);
  }

  push(value: number): void {
    this.#buffer[this.#filled++] = value;
    if (this.#filled === this.#buffer.length) this.#flush();
  }

  /** @throws RangeError where there were more or fewer numbers than announced (the caller's mistake). */
  finish(): void {
    this.#flush();
    if (this.#missing)
      throw new RangeError(`${this.#name}: ${this.#missing} numbers fewer than were announced`);
  }

  #flush(): void {
    this.#missing -= this.#filled;
    if (this.#missing < 0)
      throw new RangeError(`${this.#name}: ${-this.#missing} numbers more than were announced`);
    const bytes = new Uint8Array(this.#buffer.buffer, 0, this.#filled * this.#buffer.BYTES_PER_ELEMENT);
    writeFully(this.#file, bytes, this.#position);
    this.#position += bytes.length;
    this.#filled = 0;
  }
}

/** A file of lines. */
export class LineFile {
  /** Bytes so far. */
  length = 0;
  readonly #file: number;
  #pending: string[] = [];
  #waiting = 0;

  constructor(file: number) {
    this.#file = file;
  }

  line(text: string): void {
    this.#pending.push(text, '\n');
    const bytes = Buffer.byteLength(text) + 1;
    this.length += bytes;
    this.#waiting += bytes;
    if (this.#waiting > 1 << 18) this.flush();
  }

  flush(): void {
    writeFully(this.#file, Buffer.from(this.#pending.join('')));
    this.#pending = [];
    this.#waiting = 0;
  }
}
