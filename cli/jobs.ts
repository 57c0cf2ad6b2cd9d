import type { Progress } from '../common/progress.ts';
import { projectCatalogue } from '../configs/catalogue.ts';
import type { ConfigOptions } from '../configs/options.ts';
import { resolveData, resolveEncoding } from '../configs/parts.ts';
import { type Dataset, inspectDataset, loadDataset, type Manifest, resolveSource } from '../data/index.ts';
import type { EncodeResult } from './encode.ts';

// What the commands without a training run in the job's thread.

/** `rec data prepare`. */
export async function prepareDataset(options: ConfigOptions, progress: Progress): Promise<Manifest> {
  return (await load(options, progress)).manifest;
}

/** `rec data inspect`. */
export async function summariseDataset(options: ConfigOptions, progress: Progress) {
  return inspectDataset(await load(options, progress));
}

/** `rec encode`. */
export async function encodeItems(
  { options, out }: { options: ConfigOptions; out?: string },
  progress: Progress,
): Promise<EncodeResult> {
  const started = performance.now();
  const { embedTexts, writeFeature } = await import('../encoders/index.ts');
  const { dataset, data, seed, threads, encoder } = resolveEncoding(options, await projectCatalogue());
  const { name, itemCount, itemTexts, featureFile } = await loadDataset(resolveSource(dataset), data, {
    progress,
    seed,
  });
  const vectors = await embedTexts(
    { ...encoder, texts: itemTexts, rows: itemCount },
    { seed, threads, progress, featureFile },
  );
  if (out !== undefined) await writeFeature(out, vectors);
  return {
    dataset: name,
    encoder: vectors.name,
    items: vectors.rows,
    dims: vectors.dims,
    seconds: (performance.now() - started) / 1000,
    hash: vectors.hash,
    out,
  };
}

async function load(options: ConfigOptions, progress: Progress): Promise<Dataset> {
  const { dataset, data, seed } = resolveData(options);
  return loadDataset(resolveSource(dataset), data, { progress, seed });
}
