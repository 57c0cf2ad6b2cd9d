import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, UserError } from '../../common/errors.ts';
import { cacheFolder, hashJson, readBytes } from '../../common/files.ts';
import type { Progress } from '../../common/progress.ts';
import { removeDamaged } from '../../data/cache.ts';
import { type EmbedJob, embedRows, openForQueries, type QueryEncoder } from '../../encoders/index.ts';
import type { Query, SearchTask } from '../task.ts';
import { type Hits, TopK } from '../top-k.ts';
import { openApproximate } from './approximate.ts';
import { openScanner, type Scanner } from './scan.ts';
import { storages } from './storage.ts';
import {
  normalise,
  openCompact,
  openVectors,
  type VectorIdentity,
  type Vectors,
  writeVectors,
} from './vectors.ts';

/** The `dense.*` keys of a configuration. */
export const denseSettings = z.strictObject({
  search: z
    .enum(['exact', 'usearch'])
    .default('exact')
    .describe(
      'exact, or approximate by the package usearch (which you add yourself); its recall is measured on some queries',
    ),
  storage: z
    .enum(storages)
    .default('f32')
    .describe(
      'how the vectors that are searched are stored; with f16 and int8 the best are ranked again with f32',
    ),
  rerank: z.int().positive().default(4).describe('f16, int8: how many times k items are ranked again'),
  queries: z
    .string()
    .optional()
    .describe('a ready-made .feature matrix, one row a query, for encoders that know no texts'),
  index: z.string().optional().describe('folder for the vectors; by default one in the cache'),
});
export type DenseSettings = z.output<typeof denseSettings>;

export interface DenseOptions {
  dense: DenseSettings;
  encoder: Pick<EmbedJob, 'entry' | 'name' | 'settings'>;
  seed: number;
  device: string;
  threads: number;
  spinning: boolean;
}

const none: Hits = { items: new Int32Array(0), scores: new Float64Array(0) };

/** Search by cosine of text vectors; the items' lie on disk. */
export class Dense {
  readonly #task: SearchTask;
  readonly #encoder: QueryEncoder;
  readonly #given: string | undefined;
  readonly #vectors: Vectors;
  /** Undefined where the vectors themselves are searched. */
  readonly #compact: { rerank: number; error: number } | undefined;
  readonly #scanner: Scanner;
  /** Queries ranked again, and how many lists were shown to be exact by the error that compact vectors can have. */
  proven = { queries: 0, exact: 0 };

  private constructor(
    task: SearchTask,
    encoder: QueryEncoder,
    vectors: Vectors,
    scanner: Scanner,
    { queries }: DenseSettings,
    compact: { rerank: number; error: number } | undefined,
  ) {
    this.#task = task;
    this.#encoder = encoder;
    this.#vectors = vectors;
    this.#scanner = scanner;
    this.#given = queries;
    this.#compact = compact;
  }

  /** Vectors from the cache, or embedded now and kept there. */
  static async open(task: SearchTask, options: DenseOptions, progress: Progress): Promise<Dense> {
    const { dense, encoder, seed, threads, spinning } = options;
    const { texts, ids } = task.pool;
    const job: EmbedJob = { ...encoder, texts, rows: ids.length };
    // Imported here: BM25 alone needs no device, nor the training that tries one out.
    const { chooseDevice } = await import('../../training/choose-device.ts');
    const device = await chooseDevice(options.device, { threads, spinning }, progress);
    const context = { seed, threads, progress, device };
    const forQueries = await openForQueries(job, context);
    const opened: { close(): Promise<void> }[] = [forQueries];
    try {
      const { fingerprint } = forQueries;
      const identity: VectorIdentity = { task: task.manifest.hash, encoder: encoder.name, fingerprint };
      const folder = dense.index ?? cacheFolder('search', `vectors-${hashJson(identity).slice(0, 16)}`);
      const embed = () =>
        writeVectors(folder, identity, ids.length, async (begin) => {
          await embedRows(job, context, begin);
        });
      const vectors = await openOrMake(folder, identity, embed, dense.index !== undefined, progress);
      const exact = openScanner(vectors, threads);
      opened.push(exact);
      if (dense.search === 'usearch') {
        const approximate = await openApproximate(folder, vectors, exact, threads, progress);
        return new Dense(task, forQueries, vectors, approximate, dense, undefined);
      }
      if (dense.storage === 'f32') return new Dense(task, forQueries, vectors, exact, dense, undefined);
      const { compact, error } = await openCompact(folder, vectors, dense.storage, progress);
      const ranking = { rerank: dense.rerank, error };
      return new Dense(task, forQueries, vectors, openScanner(compact, threads), dense, ranking);
    } catch (error) {
      for (const one of opened) await one.close();
      throw error;
    }
  }

  /** What a result should tell of how exact it is. */
  facts(): Record<string, number | string> {
    const { recall } = this.#scanner;
    if (recall)
      return {
        'share of the exact lists that was found': recall.share,
        'measured on queries': recall.queries,
      };
    if (!this.#compact) return {};
    return { 'queries ranked again': this.proven.queries, 'of these proven exact': this.proven.exact };
  }

  /** The k nearest items of every query; none for a query without a text or whose vector is zero. */
  async search(queries: readonly Query[], k: number, progress: Progress): Promise<Hits[]> {
    const { dims } = this.#vectors;
    const embedded = this.#given
      ? await this.#readGiven(this.#given, queries)
      : await this.#encoder.embed(queries.map(({ text }) => text));
    const rows = queries.map((_, row) => row).filter((row) => isUsable(embedded, row, dims, queries[row]));
    if (!rows.length) return queries.map(() => none);
    const units = new Float32Array(rows.length * dims);
    rows.forEach((row, i) => {
      normalise(embedded.subarray(row * dims, (row + 1) * dims), units.subarray(i * dims, (i + 1) * dims));
    });
    const items = this.#vectors.rows;
    const wanted = Math.min(k * (this.#compact?.rerank ?? 1), items);
    const found = await this.#scanner.scan(units, wanted, progress);
    const hits = queries.map(() => none);
    rows.forEach((row, i) => {
      hits[row] = this.#compact
        ? this.#rankAgain(units.subarray(i * dims, (i + 1) * dims), found[i], k, this.#compact.error)
        : found[i];
    });
    return hits;
  }

  /** The best of the candidates by the vectors themselves. */
  #rankAgain(query: Float32Array, candidates: Hits, k: number, error: number): Hits {
    const top = new TopK(Math.min(k, this.#vectors.rows));
    const vector = new Float32Array(this.#vectors.dims);
    for (const item of candidates.items) {
      this.#vectors.read(item, vector);
      let score = 0;
      for (let i = 0; i < vector.length; i++) score += query[i] * vector[i];
      top.offer(item, score);
    }
    this.proven.queries++;
    // What is no candidate has at most the last candidate's score, and that is off by the error at most.
    const last = candidates.scores[candidates.scores.length - 1];
    const complete = candidates.items.length === this.#vectors.rows;
    if (complete || top.threshold > last + error) this.proven.exact++;
    return top.take();
  }

  async #readGiven(path: string, queries: readonly Query[]): Promise<Float32Array> {
    const bytes = await readBytes(path);
    const { dims } = this.#vectors;
    const all = this.#task.queries;
    if (bytes.length !== all.length * dims * 4)
      throw new UserError(
        `${path}: ${bytes.length} bytes are not ${all.length} rows (one a query) of ${dims} float32 values`,
      );
    const values = new Float32Array(new Uint8Array(bytes).buffer);
    const bad = values.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0)
      throw new UserError(
        `${path}: row ${Math.floor(bad / dims)}, column ${bad % dims} (both from 0) is ${values[bad]}, not a number`,
      );
    const rowOf = new Map(all.map((query, row) => [query, row]));
    const wanted = new Float32Array(queries.length * dims);
    queries.forEach((query, i) => {
      const row = rowOf.get(query);
      if (row === undefined)
        throw new UserError(
          `'${query.text}' is not one of the task's queries, whose vectors dense.queries has; other texts need an encoder of texts`,
        );
      wanted.set(values.subarray(row * dims, (row + 1) * dims), i * dims);
    });
    return wanted;
  }

  async close(): Promise<void> {
    await this.#scanner.close();
    await this.#encoder.close();
    if (this.#compact) this.#vectors.close();
  }
}

/** Opens the vectors of a folder, or makes them there; those of another kind in a folder that the user names are left alone. */
async function openOrMake(
  folder: string,
  identity: VectorIdentity,
  make: () => Promise<void>,
  named: boolean,
  progress: Progress,
): Promise<Vectors> {
  if (existsSync(join(folder, 'index.json'))) {
    try {
      return await openVectors(folder, identity);
    } catch (error) {
      if (named) throw error;
      await removeDamaged(folder, error);
      progress.warning(`the vectors are made anew: ${messageOf(error)}`);
    }
  }
  if (named && existsSync(folder) && readdirSync(folder).length)
    throw new UserError(
      `${folder}: is not empty, and holds no vectors; dense.index takes a folder of their own`,
    );
  await make();
  return openVectors(folder, identity);
}

function isUsable(values: Float32Array, row: number, dims: number, { text }: Query): boolean {
  return text.trim() !== '' && values.subarray(row * dims, (row + 1) * dims).some((value) => value !== 0);
}
