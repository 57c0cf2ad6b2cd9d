import { UsageError } from '../common/errors.ts';
import type { Progress } from '../common/progress.ts';
import { projectCatalogue } from '../configs/catalogue.ts';
import type { ConfigOptions } from '../configs/options.ts';
import { resolveData, resolveEncoding, resolvePairs } from '../configs/parts.ts';
import { loadPluginsOf } from '../configs/plugins.ts';
import { type Exported, exportDataset } from '../data/export.ts';
import type { ExportFormat } from '../data/export-formats.ts';
import {
  filesOnHub,
  inspectDataset,
  loadDataset,
  type Manifest,
  missingFiles,
  prepareDataset as prepare,
  resolveSource,
} from '../data/index.ts';
import type { PairsReport } from '../data/pairs/index.ts';
import type { ExportedEncoder } from '../encoders/contract.ts';
import { download, type HubDownload } from '../hub/index.ts';
import type { DownloadRequest } from './download.ts';
import type { EncodeRequest, EncodeResult } from './encode.ts';

// What the commands without a training run in the job's thread.

/** `rec data prepare`. */
export async function prepareDataset(options: ConfigOptions, progress: Progress): Promise<Manifest> {
  const { source, data, seed } = await sourceOf(options, progress);
  return (await prepare(source, data, { progress, seed })).manifest;
}

/** `rec data inspect`. */
export async function summariseDataset(options: ConfigOptions, progress: Progress) {
  const { source, data, seed } = await sourceOf(options, progress);
  return inspectDataset(await loadDataset(source, data, { progress, seed }));
}

/** `rec data download`. */
export async function downloadFiles(
  { dataset, encoder, files, dryRun }: DownloadRequest,
  progress: Progress,
): Promise<HubDownload[]> {
  const needs = dataset === undefined ? [] : [filesOnHub(dataset, files)];
  if (encoder === undefined) return download(needs, progress, { dryRun });
  const { encoder: chosen } = resolveEncoding({ encoder, set: [] }, await projectCatalogue());
  const weights = await chosen.entry.onHub?.(chosen.settings);
  if (!weights)
    throw new UsageError(`encoder '${encoder}' has no weights on the hub: there is nothing to download.`);
  return download([...needs, weights], progress, { dryRun });
}

/** `rec data export`. */
export async function exportFiles(
  { options, format, out }: { options: ConfigOptions; format: ExportFormat; out: string },
  progress: Progress,
): Promise<Exported> {
  const { source, data, seed } = await sourceOf(options, progress);
  return exportDataset(source, data, { format, folder: out, seed, progress });
}

/** `rec encoders export`. */
export async function exportEncoder(
  { options, out }: { options: ConfigOptions; out: string },
  progress: Progress,
): Promise<ExportedEncoder> {
  const { missingWeights } = await import('../encoders/index.ts');
  const { entry, settings, name } = resolveEncoding(options, await projectCatalogue(options)).encoder;
  if (!entry.export) throw new UsageError(`encoder '${name}' has no weights that could be exported.`);
  await download([await missingWeights(entry, settings)], progress);
  return entry.export(settings, out, progress);
}

/** `rec encode`. */
export async function encodeItems(
  { options, out, shards, queue, artifacts }: EncodeRequest,
  progress: Progress,
): Promise<EncodeResult> {
  const started = performance.now();
  const { embedRows, embedTexts, missingWeights, writeFeature } = await import('../encoders/index.ts');
  const { chooseDevice } = await import('../training/choose-device.ts');
  const { dataset, data, seed, threads, spinning, encoder, ...asked } = resolveEncoding(
    options,
    await projectCatalogue(options),
  );
  const weights = await missingWeights(encoder.entry, encoder.settings);
  await download([await missingFiles(resolveSource(dataset)), weights], progress);
  const { name, itemCount, itemTexts, featureFile } = await loadDataset(resolveSource(dataset), data, {
    progress,
    seed,
  });
  const work = { ...encoder, texts: itemTexts, rows: itemCount, shards };
  const device = await chooseDevice(asked.device, { threads, spinning }, progress);
  const context = { seed, threads, progress, device, featureFile };
  if (queue !== undefined) {
    const { embedOnQueue } = await import('../sweeps/embedding.ts');
    await embedOnQueue(work, context, options, { queue, artifacts });
  }
  let made: { dims: number; hash: string };
  if (shards) made = await embedRows(work, context, () => () => {});
  else {
    const vectors = await embedTexts(work, context);
    if (out !== undefined) await writeFeature(out, vectors);
    made = vectors;
  }
  return {
    dataset: name,
    encoder: encoder.name,
    items: itemCount,
    dims: made.dims,
    seconds: (performance.now() - started) / 1000,
    hash: made.hash,
    out,
    shards,
  };
}

/** A dataset whose files are at hand, downloaded where they were not. */
async function sourceOf(options: ConfigOptions, progress: Progress) {
  await loadPluginsOf(options);
  const { dataset, data, seed } = resolveData(options);
  const source = resolveSource(dataset);
  await download([await missingFiles(source)], progress);
  return { source, data, seed };
}

/** `rec data pairs`. */
export async function buildPretrainingPairs(
  { folders, out, config, set }: { folders: string[]; out: string; config?: string; set: string[] },
  progress: Progress,
): Promise<PairsReport> {
  const { buildPairs } = await import('../data/pairs/index.ts');
  return buildPairs(folders, out, resolvePairs({ config, set }), progress);
}
