import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../common/errors.ts';
import {
  explainFileError,
  readJson,
  replaceAtomically,
  writeFileAtomic,
  writeFully,
} from '../../common/files.ts';
import type { Progress } from '../../common/progress.ts';
import { writePrepared } from '../../data/cache.ts';
import { type Codec, codecs, type Storage } from './storage.ts';

/**
 * The vectors of a pool on disk are a folder:
 * - vectors.f32: [rows, dims] of length 1 (zero for items without text), little-endian, row-major, no header
 * - vectors.f16, vectors.int8: the same in less precision, where they were asked for; f16.json, int8.json: how far they are off
 * - index.json: what they were made of; written last
 */
const format = 'rec vectors 1';

/** What vectors were made of. */
export interface VectorIdentity {
  /** The task's hash. */
  task: string;
  /** The encoder's name, for people, and the fingerprint of all that decides its vectors. */
  encoder: string;
  fingerprint: string;
}

interface IndexFile extends VectorIdentity {
  format: string;
  rows: number;
  dims: number;
}

/** Vectors that are read as they are needed, never all at once. */
export interface Vectors {
  rows: number;
  dims: number;
  /** Fills `out` with out.length / dims rows from `first` on. */
  read(first: number, out: Float32Array): void;
  close(): void;
}

/** Makes the folder: `fill` is given what takes in rows, in any order; rows that do not come are zero. */
export async function writeVectors(
  folder: string,
  identity: VectorIdentity,
  rows: number,
  fill: (begin: (dims: number) => (row: number, vector: Float32Array) => void) => Promise<void>,
): Promise<void> {
  await writePrepared(folder, async (temporary) => {
    await mkdir(temporary, { recursive: true });
    const file = openSync(join(temporary, 'vectors.f32'), 'wx');
    let dims = 0;
    try {
      await fill((width) => {
        dims = width;
        ftruncateSync(file, rows * dims * 4);
        const unit = new Float32Array(dims);
        const bytes = new Uint8Array(unit.buffer);
        return (row, vector) => {
          normalise(vector, unit);
          writeFully(file, bytes, row * bytes.length);
        };
      });
    } finally {
      closeSync(file);
    }
    const index: IndexFile = { format, ...identity, rows, dims };
    await writeFile(join(temporary, 'index.json'), `${JSON.stringify(index, null, 2)}\n`);
  });
}

/**
 * Opens the vectors of a folder.
 * @throws UserError where there are none, they are incomplete, or were made of something else.
 */
export async function openVectors(folder: string, identity: VectorIdentity): Promise<Vectors> {
  const index = await readJson<IndexFile>(join(folder, 'index.json'));
  if (index.format !== format) throw new UserError(`${folder}: no vectors of this version (${index.format})`);
  if (index.task !== identity.task)
    throw new UserError(
      `${folder}: the vectors of another pool (task ${index.task}, asked for is ${identity.task})`,
    );
  if (index.fingerprint !== identity.fingerprint)
    throw new UserError(
      `${folder}: made with encoder ${index.encoder} (${index.fingerprint.slice(0, 12)}), but ${identity.encoder} (${identity.fingerprint.slice(0, 12)}) is asked for; their vectors cannot be compared`,
    );
  const { rows, dims } = index;
  return openPlain(join(folder, 'vectors.f32'), rows, dims);
}

/** A file of float32 rows, little-endian, without a header. */
export function openPlain(path: string, rows: number, dims: number): Vectors {
  return openRows(path, rows, dims, 4 * dims, (bytes, out) =>
    out.set(new Float32Array(bytes.buffer, bytes.byteOffset, out.length)),
  );
}

/** Vectors in less precision; a dot product with a vector of length 1 is off by `error` at most. */
export interface Compact {
  compact: Vectors;
  error: number;
}

/** Opens the same vectors in less precision, which are made where they are not there. */
export async function openCompact(
  folder: string,
  vectors: Vectors,
  storage: Exclude<Storage, 'f32'>,
  progress: Progress,
): Promise<Compact> {
  const { rows, dims } = vectors;
  const codec = codecs[storage];
  const width = codec.bytes(dims);
  const path = join(folder, `vectors.${storage}`);
  const facts = join(folder, `${storage}.json`);
  if (!existsSync(facts)) {
    const error = await writeCompact(path, vectors, codec, progress);
    await writeFileAtomic(facts, JSON.stringify({ error }));
  }
  const { error } = await readJson<{ error: number }>(facts);
  const compact = openRows(path, rows, dims, width, (bytes, out) => codec.decode(bytes, dims, out));
  return { compact, error };
}

/** Returns the largest error of a dot product. */
async function writeCompact(
  path: string,
  vectors: Vectors,
  codec: Codec,
  progress: Progress,
): Promise<number> {
  const { rows, dims } = vectors;
  const width = codec.bytes(dims);
  let largest = 0;
  progress.begin('storing compact vectors', 'vectors', rows);
  await replaceAtomically(path, async (temporary) => {
    const file = openSync(temporary, 'wx');
    try {
      const count = blockRows(dims);
      for (let first = 0; first < rows; first += count) {
        const exact = new Float32Array(Math.min(count, rows - first) * dims);
        const near = new Float32Array(exact.length);
        const bytes = new Uint8Array((exact.length / dims) * width);
        const view = new DataView(bytes.buffer);
        vectors.read(first, exact);
        for (let i = 0; i * dims < exact.length; i++)
          codec.encode(exact.subarray(i * dims, (i + 1) * dims), view, i * width);
        codec.decode(bytes, dims, near);
        largest = Math.max(largest, largestDistance(exact, near, dims));
        writeFully(file, bytes, first * width);
        progress.advance(first);
      }
    } finally {
      closeSync(file);
    }
  });
  progress.end();
  // Beside it, sums in float32 are off by some units in the last place.
  return largest + 1e-5;
}

function largestDistance(a: Float32Array, b: Float32Array, dims: number): number {
  let most = 0;
  for (let at = 0; at < a.length; at += dims) {
    let squares = 0;
    for (let i = at; i < at + dims; i++) squares += (a[i] - b[i]) ** 2;
    if (squares > most) most = squares;
  }
  return Math.sqrt(most);
}

/** Rows of about 8 MiB. */
const blockRows = (dims: number) => Math.max(1, Math.floor((8 << 20) / (4 * dims)));

/** @param width bytes of a row */
function openRows(
  path: string,
  rows: number,
  dims: number,
  width: number,
  decode: (bytes: Uint8Array, out: Float32Array) => void,
): Vectors {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    throw explainFileError(error, path);
  }
  const { size } = fstatSync(file);
  if (size !== rows * width) {
    closeSync(file);
    throw new UserError(
      `${path}: ${size} bytes are not ${rows} vectors of ${width} bytes; remove its folder, and it is made again`,
    );
  }
  let bytes = new Uint8Array(0);
  return {
    rows,
    dims,
    read(first, out) {
      const length = (out.length / dims) * width;
      if (bytes.length < length) bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        const read = readSync(file, bytes, done, length - done, first * width + done);
        if (!read) throw new UserError(`${path}: ended while it was read`);
        done += read;
      }
      decode(bytes, out);
    },
    close: () => closeSync(file),
  };
}

/** Fills `out` with a vector of length 1 in the same direction; a zero vector stays zero. */
export function normalise(vector: Float32Array, out: Float32Array): void {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0;
  for (let i = 0; i < vector.length; i++) out[i] = vector[i] * scale;
}
