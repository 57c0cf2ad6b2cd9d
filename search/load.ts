import { readdir, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { UsageError, UserError } from '../common/errors.ts';
import { cacheFolder, explainFileError, hashFile, hashJson } from '../common/files.ts';
import type { Progress } from '../common/progress.ts';
import type { DatasetSource } from '../data/index.ts';
import { findFiles } from '../data/layouts.ts';
import { BadRows } from '../data/table.ts';
import { detectEsci } from './readers/esci.ts';
import { detectOfficial, official } from './readers/official.ts';
import { detectPairs } from './readers/pairs.ts';
import { detectReviews } from './readers/reviews.ts';
import type { TaskSource } from './readers/source.ts';
import type { PoolSettings } from './settings.ts';
import { formatVersion, readTask, type TaskWriter, writeTask } from './store.ts';
import type { SearchTask, TaskManifest } from './task.ts';

export interface LoadContext {
  progress: Progress;
  /** Decides which items a pool is drawn of. */
  seed: number;
}

/**
 * The search task of a source: from the cache where the same sources and settings were read before, else read and cached.
 * @throws UserError for files that are missing, damaged, or hold no items or no queries.
 */
export async function loadTask(
  dataset: DatasetSource,
  settings: PoolSettings,
  { progress, seed }: LoadContext,
): Promise<SearchTask> {
  const source = await sourceOf(dataset);
  const sources: TaskManifest['sources'] = [];
  for (const path of source.paths) {
    progress.check();
    sources.push({ path, bytes: (await stat(path)).size, sha256: await hashFile(path) });
  }
  const hash = hashJson({
    formatVersion,
    layout: source.layout,
    files: sources.map(({ path, sha256 }) => [basename(path), sha256]),
    settings: source.drawn ? { ...settings, seed } : { strict: settings.strict },
  });
  const folder = cacheFolder('search', `task-${hash.slice(0, 16)}`);
  const complain = (reason: string) => progress.note(`the search task is read again: ${reason}`);
  const cached = await readTask(folder, hash, complain);
  if (cached) return { ...cached, manifest: { ...cached.manifest, name: dataset.name, sources } };
  await writeTask(folder, (writer) =>
    read(source, { name: dataset.name, hash, sources, settings, seed }, writer, progress),
  );
  const task = await readTask(folder, hash, complain);
  if (!task) throw new UserError(`${folder}: what was just written cannot be read back; is the disk sound?`);
  return task;
}

async function sourceOf(dataset: DatasetSource): Promise<TaskSource> {
  if (dataset.files?.queries) {
    const found = await findFiles(dataset);
    return official(found.get('queries')![0], found.get('pool')![0]);
  }
  if (!dataset.path)
    throw new UsageError(
      `dataset '${dataset.name}' is no search task; give amazon-c4, esci, or a folder with reviews and item metadata.`,
    );
  const path = resolve(dataset.path);
  const entries = await readdir(path, { withFileTypes: true }).catch((error) => {
    throw explainFileError(error, path);
  });
  const files = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  const folder = { path, files: files.sort() };
  for (const detect of [detectOfficial, detectPairs, detectEsci, detectReviews]) {
    const source = await detect(folder);
    if (source) return source;
  }
  throw new UserError(
    `${path}: no search task was recognised (it holds ${files.join(', ') || 'nothing'}). A folder holds one of: a CSV file with the columns qid, query, item_id, and the pool as .jsonl with item_id, category, metadata; a file of pairs (.tsv) with review and metadata; ESCI's examples (.parquet, .csv or .jsonl) and item metadata; reviews in JSON, and item metadata beside them or inside.`,
  );
}

type Fixed = Pick<TaskManifest, 'name' | 'hash' | 'sources'> & { settings: PoolSettings; seed: number };

async function read(
  source: TaskSource,
  { settings, seed, ...fixed }: Fixed,
  writer: TaskWriter,
  progress: Progress,
): Promise<TaskManifest> {
  const bad = new BadRows(settings.strict, 'pool.strict');
  const steps: TaskManifest['steps'] = [];
  await source.read({
    writer,
    bad,
    progress,
    settings,
    seed,
    step: (rule, before, after) => steps.push({ rule, in: before, out: after }),
  });
  const items = writer.items.names.length;
  const { queries, judgments, queryLength, itemLength } = writer.totals;
  if (!items || !queries) throw new UserError(emptyMessage(source, items ? 'queries' : 'items', bad));
  if (bad.total)
    progress.warning(
      `${bad.total} rows could not be used; the manifest says which (pool.strict=true fails on them)`,
    );
  return {
    ...fixed,
    settings: source.drawn ? { ...settings, seed } : {},
    steps,
    bad: bad.list(),
    counts: { items, queries, judgments, domains: writer.domainCount },
    meanLength: { query: queryLength / queries, item: itemLength / items },
    gains: source.gains(settings),
  };
}

function emptyMessage({ paths }: TaskSource, what: string, bad: BadRows): string {
  const first = bad.list()[0];
  const why = first
    ? ` ${bad.total} rows could not be used; the first: ${first.file}:${first.lines[0]}: ${first.reason}.`
    : '';
  return `${paths.join(', ')}: no usable ${what}.${why}`;
}
