import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, UserError } from '../common/errors.ts';
import { readBytes, readJson } from '../common/files.ts';
import { readSafetensors, requireTensor, writeSafetensors } from '../common/safetensors.ts';
import { removeDamaged, writePrepared } from '../data/cache.ts';
import { LineFile } from '../data/store.ts';
import { GrowingArray, Interner } from '../data/table.ts';
import { openTexts } from '../data/text-file.ts';
import type { Query, SearchTask, TaskManifest } from './task.ts';

/**
 * A search task on disk is a folder:
 * - manifest.json: the TaskManifest
 * - ids.txt: line i is the id of item i; texts.jsonl: line i is its text, as a JSON string
 * - arrays.safetensors: int32 `domain` of every item, a line of domains.txt; float64 `texts.offset`, where line i of
 *   texts.jsonl begins, and where the last ends
 * - queries.jsonl: the queries
 * - seal.json: format version and sizes of the other files; written last
 */
export const formatVersion = 1;
const files = [
  'manifest.json',
  'ids.txt',
  'texts.jsonl',
  'domains.txt',
  'arrays.safetensors',
  'queries.jsonl',
];

interface Seal {
  formatVersion: number;
  bytes: Record<string, number>;
}

/** What a reader hands a task over to, item by item and query by query. */
export class TaskWriter {
  readonly items = new Interner();
  readonly #domains = new Interner();
  readonly #domain = GrowingArray.int32();
  readonly #offsets = GrowingArray.float64();
  readonly #texts: LineFile;
  readonly #queries: LineFile;
  /** Sums and counts for the manifest. */
  readonly totals = { queries: 0, judgments: 0, queryLength: 0, itemLength: 0 };

  constructor(texts: LineFile, queries: LineFile) {
    this.#texts = texts;
    this.#queries = queries;
  }

  /** The next item of the pool, whose id must be new. */
  item(id: string, text: string, domain: string): void {
    this.items.id(id);
    this.#domain.push(this.#domains.id(domain));
    this.#offsets.push(this.#texts.length);
    this.#texts.line(JSON.stringify(text));
    this.totals.itemLength += text.length;
  }

  query(query: Query): void {
    this.#queries.line(JSON.stringify(query));
    this.totals.queries++;
    this.totals.judgments += query.relevant.length;
    this.totals.queryLength += query.text.length;
  }

  /** Writes what is not written as it comes. */
  async finish(folder: string): Promise<void> {
    this.#offsets.push(this.#texts.length);
    this.#texts.flush();
    this.#queries.flush();
    await writeFile(join(folder, 'ids.txt'), this.items.names.join('\n'));
    await writeFile(join(folder, 'domains.txt'), this.#domains.names.join('\n'));
    const domain = this.#domain.toArray();
    const offset = this.#offsets.toArray();
    await writeSafetensors(join(folder, 'arrays.safetensors'), [
      ['domain', { dtype: 'I32', shape: [domain.length], data: domain }],
      ['texts.offset', { dtype: 'F64', shape: [offset.length], data: offset }],
    ]);
  }

  get domainCount(): number {
    return this.#domains.names.length;
  }
}

/** Makes a task's folder; `fill` brings items and queries, and returns the manifest. */
export async function writeTask(
  folder: string,
  fill: (writer: TaskWriter) => Promise<TaskManifest>,
): Promise<void> {
  await writePrepared(folder, async (temporary) => {
    await mkdir(temporary, { recursive: true });
    const opened = ['texts.jsonl', 'queries.jsonl'].map((name) => openSync(join(temporary, name), 'wx'));
    try {
      const [texts, queries] = opened.map((file) => new LineFile(file));
      const writer = new TaskWriter(texts, queries);
      const manifest = await fill(writer);
      await writer.finish(temporary);
      await writeFile(join(temporary, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    } finally {
      for (const file of opened) closeSync(file);
    }
    const bytes: Seal['bytes'] = {};
    for (const file of files) bytes[file] = (await stat(join(temporary, file))).size;
    await writeFile(join(temporary, 'seal.json'), JSON.stringify({ formatVersion, bytes } satisfies Seal));
  });
}

/**
 * Reads a task back, its texts staying on disk; undefined where there is none. A damaged one is removed, and `complain`
 * told why.
 */
export async function readTask(
  folder: string,
  hash: string,
  complain: (reason: string) => void,
): Promise<SearchTask | undefined> {
  if (!existsSync(folder)) return undefined;
  try {
    return await readWhole(folder, hash);
  } catch (error) {
    await removeDamaged(folder, error);
    complain(messageOf(error));
    return undefined;
  }
}

async function readWhole(folder: string, hash: string): Promise<SearchTask> {
  const seal = await readJson<Seal>(join(folder, 'seal.json'));
  if (seal.formatVersion !== formatVersion) throw new UserError(`${folder}: of format ${seal.formatVersion}`);
  for (const file of files)
    if ((await stat(join(folder, file))).size !== seal.bytes[file])
      throw new UserError(`${join(folder, file)}: its size has changed`);
  const manifest = await readJson<TaskManifest>(join(folder, 'manifest.json'));
  if (manifest.hash !== hash) throw new UserError(`${folder}: holds the task ${manifest.hash}`);
  const lines = async (name: string) => (await readBytes(join(folder, name))).toString('utf8').split('\n');
  const arrays = await readSafetensors(join(folder, 'arrays.safetensors'));
  const offset = requireTensor(arrays, 'texts.offset').data as Float64Array;
  return {
    manifest,
    pool: {
      ids: await lines('ids.txt'),
      texts: openTexts(join(folder, 'texts.jsonl'), offset),
      domain: requireTensor(arrays, 'domain').data as Int32Array,
      domains: await lines('domains.txt'),
    },
    queries: (await lines('queries.jsonl')).filter(Boolean).map((line) => JSON.parse(line) as Query),
  };
}
