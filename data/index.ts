import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { cacheFolder, explainFileError, hashFile } from '../common/files.ts';
import type { Progress } from '../common/progress.ts';
import { datasetHash, findIntact, readPrepared, removeAbandoned, writePrepared } from './cache.ts';
import { Database } from './database.ts';
import type { Dataset, FeatureFile, Manifest } from './dataset.ts';
import { layoutOf } from './layouts.ts';
import { prepare } from './prepare.ts';
import type { Layout } from './readers/layout.ts';
import type { DataSettings } from './settings.ts';
import type { DatasetSource } from './sources.ts';
import { sealStore } from './store.ts';
import { BadRows } from './table.ts';

export { targetCounts, trainingCounts } from './counts.ts';
export type { Dataset, FeatureFile, Manifest, Rows } from './dataset.ts';
export { type DatasetDefinition, defineDataset, type Interaction } from './defined.ts';
export { filesOnHub, missingFiles } from './hub-files.ts';
export { inspectDataset } from './inspect.ts';
export { type DataSettings, dataSettings } from './settings.ts';
export { addDataset, type DatasetSource, listDatasets, resolveSource } from './sources.ts';

export interface LoadContext {
  progress: Progress;
  /** Decides random ties only; generated data have a seed of their own. */
  seed: number;
}

/** Loads the prepared dataset of a source; see prepareDataset. */
export async function loadDataset(
  source: DatasetSource,
  settings: DataSettings,
  context: LoadContext,
): Promise<Dataset> {
  const { folder, manifest, featurePath } = await prepareDataset(source, settings, context);
  const dataset = await readPrepared(folder, manifest);
  if (featurePath) dataset.featureFile = await describeFeatures(featurePath, dataset.itemCount);
  return dataset;
}

/** A prepared dataset on disk. */
export interface PreparedDataset {
  folder: string;
  manifest: Manifest;
  /** A ready-made text matrix beside the data. */
  featurePath?: string;
}

/**
 * The prepared dataset of a source, which is not loaded: from the cache where the same sources and settings were
 * prepared before, else read, prepared and cached. A damaged cache entry is noted and replaced.
 * @throws UserError for files that are missing, damaged, or hold nothing to learn from; UsageError for settings that
 * the source cannot follow.
 */
export async function prepareDataset(
  source: DatasetSource,
  settings: DataSettings,
  { progress, seed }: LoadContext,
): Promise<PreparedDataset> {
  const layout = await layoutOf(source, progress);
  for (const note of layout.notes ?? []) progress.note(note);
  const sources = await describeFiles(layout.paths, progress);
  const hash = datasetHash({
    name: source.name,
    layout: layout.name,
    files: sources.map(({ path, sha256 }) => [basename(path), sha256]),
    generator: layout.identity,
    settings: { ...settings, memoryGB: undefined, tempFolder: undefined },
    seed: settings.ties === 'random' ? seed : undefined,
  });
  const folder = cacheFolder('datasets', `${fileName(source.name)}-${hash.slice(0, 12)}`);
  let manifest = await findIntact(folder, hash, (reason) =>
    progress.note(`the prepared dataset is made again, as the cached one cannot be used: ${reason}`),
  );
  if (!manifest)
    await writePrepared(folder, async (temporary) => {
      manifest = await build(temporary, {
        name: source.name,
        layout,
        settings,
        seed,
        hash,
        sources,
        progress,
      });
    });
  return { folder, manifest: { ...manifest!, sources }, featurePath: layout.featurePath };
}

interface Order {
  name: string;
  layout: Layout;
  settings: DataSettings;
  seed: number;
  hash: string;
  sources: Manifest['sources'];
  progress: Progress;
}

/** Prepares a dataset into a folder. */
async function build(folder: string, order: Order): Promise<Manifest> {
  const { name, layout, settings, seed, hash, sources, progress } = order;
  const { memoryGB, tempFolder, ...deciding } = settings;
  const spillFolder = join(tempFolder ?? folder, `spill-${basename(folder)}`);
  if (tempFolder) await removeAbandoned(tempFolder);
  const bad = new BadRows(settings.strict);
  const { steps, ties, times, counts } = await Database.with(
    { memoryGB, spillFolder, progress },
    async (database) => {
      const reading = await layout.read(settings, bad, progress);
      return prepare(reading, { folder, database, settings, seed, bad, progress });
    },
  );
  if (bad.total)
    progress.warning(
      `${bad.total} rows could not be read; the manifest says which (data.strict=true fails on them)`,
    );
  const manifest: Manifest = {
    name,
    synthetic: layout.synthetic === true,
    layout: layout.name,
    hash,
    sources,
    settings: deciding,
    steps,
    bad: bad.list(),
    ties,
    ...(times && { times }),
    counts,
  };
  await sealStore(folder, manifest);
  return manifest;
}

async function describeFiles(paths: readonly string[], progress: Progress): Promise<Manifest['sources']> {
  const sources: Manifest['sources'] = [];
  for (const path of paths) {
    progress.check();
    const sha256 = await hashFile(path);
    sources.push({ path, bytes: (await stat(path)).size, sha256 });
  }
  return sources;
}

/** The shape of a headerless float32 matrix with one row an item. */
async function describeFeatures(path: string, itemCount: number): Promise<FeatureFile> {
  try {
    const { size } = await stat(path);
    const dims = size / 4 / itemCount;
    if (!Number.isInteger(dims) || dims === 0)
      throw new UserError(
        `${path}: ${size} bytes do not make float32 rows of equal width for the ${itemCount} items of the dataset; make the matrix again for these items, or move it away.`,
      );
    return { path, dims };
  } catch (error) {
    throw explainFileError(error, path);
  }
}

function fileName(name: string): string {
  return name.replace(/[^\w.-]+/g, '_').slice(0, 60) || 'dataset';
}
