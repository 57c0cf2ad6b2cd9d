import { z } from 'zod';
import { UsageError, UserError } from '../common/errors.ts';
import { hashFile, hashJson, withFile, writeFileAtomic } from '../common/files.ts';
import { defineEncoder, type TextEncoder, type TextVectors } from './contract.ts';

const blockBytes = 16 << 20;

/** Ready-made vectors: a float32 matrix [items, dims], little-endian, row-major, without a header (.feature files). */
export default defineEncoder({
  name: 'file',
  summary: 'a ready-made float32 matrix, one row an item',
  config: z.strictObject({
    path: z.string().optional().describe('the matrix; by default the one that lies beside the dataset'),
    dims: z.int().positive().optional().describe('width of a row; by default the size divided by the items'),
  }),
  async open(config, { featureFile, rows }) {
    const path = config.path ?? featureFile?.path;
    if (!path)
      throw new UsageError(
        'encoder file: which file? The dataset brings none; give file:PATH or encoder.path.',
      );
    const bytes = await sizeOf(path);
    const known = config.dims ?? (path === featureFile?.path ? featureFile.dims : undefined);
    const dims = known ?? inferDims(path, bytes, rows);
    if (bytes % (4 * dims))
      throw new UserError(`${path}: ${bytes} bytes are not a whole number of rows of ${dims} float32 values`);
    const found = bytes / (4 * dims);
    const encoder: TextEncoder = {
      dims,
      fingerprint: hashJson({ encoder: 'file', dims, sha256: await hashFile(path) }),
      rowsDependOn: 'position',
      async embed(texts, onRows) {
        if (found !== texts.length)
          throw new UserError(
            `${path}: ${found} rows of ${dims} values, but the dataset has ${texts.length} items${hintRows(bytes, texts.length)}`,
          );
        await readRows(path, dims, found, onRows);
      },
      async close() {},
    };
    return encoder;
  },
  async weights({ path }) {
    if (!path) return { atHand: true, where: 'beside the dataset' };
    return sizeOf(path).then(
      () => ({ atHand: true, where: path }),
      () => ({ atHand: false, where: path }),
    );
  },
});

/** Writes vectors as a .feature file, atomically. */
export async function writeFeature(path: string, vectors: TextVectors): Promise<void> {
  const { buffer, byteOffset, byteLength } = vectors.values;
  await writeFileAtomic(path, new Uint8Array(buffer, byteOffset, byteLength));
}

async function sizeOf(path: string): Promise<number> {
  return withFile(path, async (file) => {
    const status = await file.stat();
    if (!status.isFile()) throw new UserError(`${path}: is not a file`);
    if (!status.size) throw new UserError(`${path}: is empty`);
    return status.size;
  });
}

function inferDims(path: string, bytes: number, rows: number | undefined): number {
  if (!rows)
    throw new UsageError(`encoder file: the width of the rows of ${path} is not known; give encoder.dims.`);
  if (bytes % (4 * rows))
    throw new UserError(
      `${path}: ${bytes} bytes are not ${rows} rows (one an item) of float32 values; was it made for another set of items?`,
    );
  return bytes / (4 * rows);
}

function hintRows(bytes: number, items: number): string {
  return bytes % (4 * items) === 0 ? `; encoder.dims ${bytes / (4 * items)} would fit` : '';
}

async function readRows(
  path: string,
  dims: number,
  rows: number,
  onRows: (first: number, values: Float32Array) => Promise<void>,
): Promise<void> {
  await withFile(path, async (file) => {
    const blockRows = Math.max(1, Math.floor(blockBytes / (4 * dims)));
    for (let first = 0; first < rows; first += blockRows) {
      const bytes = new Uint8Array(4 * dims * Math.min(blockRows, rows - first));
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await file.read(bytes, done, bytes.length - done, 4 * dims * first + done);
        if (!bytesRead) throw new UserError(`${path}: ended while it was read`);
        done += bytesRead;
      }
      await onRows(first, new Float32Array(bytes.buffer));
    }
  });
}
