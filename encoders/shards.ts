import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { messageOf, UserError } from '../common/errors.ts';
import { cacheFolder, hashJson, writeFileAtomic } from '../common/files.ts';
import type { Progress } from '../common/progress.ts';
import { readSafetensors, requireTensor, writeSafetensors } from '../common/safetensors.ts';
import type { Texts } from '../common/texts.ts';

/** Rows a shard: what is lost at most when the process is killed. */
export const shardRows = 512;

/** What decides the rows of an embedding job; also written as manifest.json for whoever looks into the folder. */
export interface EmbeddingManifest {
  name: string;
  fingerprint: string;
  textsHash: string;
  rows: number;
  dims: number;
}

/**
 * The rows of one embedding job in the cache folder, in shards that are written atomically and carry a hash of their
 * values: after a kill, all finished shards are found again, and a damaged one is noticed and made anew.
 */
export class Shards {
  readonly manifest: EmbeddingManifest;
  /** Number of shards. */
  readonly count: number;
  /** In the cache folder. */
  readonly folder: string;
  readonly #progress: Progress;
  #enabled: boolean;
  #begun = false;

  constructor(manifest: EmbeddingManifest, enabled: boolean, progress: Progress) {
    const { name, ...deciding } = manifest;
    const label = name.replace(/[^\w.-]+/g, '_');
    this.manifest = manifest;
    this.count = Math.ceil(manifest.rows / shardRows);
    this.folder = join('embeddings', `${label}-${hashJson(deciding).slice(0, 16)}`);
    this.#enabled = enabled;
    this.#progress = progress;
  }

  /** First row of a shard; of the shard after the last, the number of rows. */
  first(shard: number): number {
    return Math.min(this.manifest.rows, shard * shardRows);
  }

  /** Values [rows of the shard, dims]; undefined where it is not there, or damaged (which is noted). */
  async read(shard: number): Promise<Float32Array | undefined> {
    if (!this.#enabled) return undefined;
    const path = this.#path(shard);
    try {
      const file = await readSafetensors(path);
      const shape = [this.first(shard + 1) - this.first(shard), this.manifest.dims];
      const { data } = requireTensor(file, 'vectors', shape);
      if (!(data instanceof Float32Array) || file.metadata.sha256 !== hashValues(data))
        throw new UserError(`${path}: its values do not match their hash`);
      return data;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const absent = (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
      if (!absent) this.#progress.warning(`cached vectors are made anew: ${error.message}`);
      return undefined;
    }
  }

  /**
   * Takes rows from the first of `shard` on, block by block, and writes every shard as soon as it is full.
   * @throws RangeError for rows after the last
   */
  writer(shard: number): (block: Float32Array) => Promise<void> {
    const { dims } = this.manifest;
    let current = shard;
    let filled = 0;
    let buffer = new Float32Array(0);
    return async (block) => {
      for (let taken = 0; taken < block.length; ) {
        if (current >= this.count) throw new RangeError(`more than ${this.manifest.rows} rows`);
        const size = (this.first(current + 1) - this.first(current)) * dims;
        if (!filled) buffer = new Float32Array(size);
        const part = block.subarray(taken, taken + size - filled);
        buffer.set(part, filled);
        taken += part.length;
        filled += part.length;
        if (filled < size) continue;
        await this.#write(current++, buffer);
        filled = 0;
      }
    };
  }

  /** A cache that cannot be written is a pity, not a failure. */
  async #write(shard: number, data: Float32Array): Promise<void> {
    if (!this.#enabled) return;
    const shape = [this.first(shard + 1) - this.first(shard), this.manifest.dims];
    const metadata = { sha256: hashValues(data) };
    try {
      if (!this.#begun)
        await writeFileAtomic(
          cacheFolder(this.folder, 'manifest.json'),
          `${JSON.stringify(this.manifest, null, 2)}\n`,
        );
      this.#begun = true;
      await writeSafetensors(this.#path(shard), [['vectors', { dtype: 'F32', shape, data }]], metadata);
    } catch (error) {
      this.#enabled = false;
      this.#progress.warning(`vectors are not kept for next time: ${messageOf(error)}`);
    }
  }

  #path(shard: number): string {
    return cacheFolder(this.folder, shardFile(shard));
  }
}

/** Name of a shard's file. */
export const shardFile = (shard: number): string => `${String(shard).padStart(6, '0')}.safetensors`;

function hashValues({ buffer, byteOffset, byteLength }: Float32Array): string {
  return createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex');
}

/** SHA-256 of texts; different lists have different bytes. */
export function hashTexts(texts: Texts): string {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(`${Buffer.byteLength(text)}:`).update(text);
  return hash.digest('hex');
}
