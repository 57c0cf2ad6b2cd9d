import type { Progress } from '../common/progress.ts';
import type { ConfigOptions } from '../configs/options.ts';
import { resolveData } from '../configs/parts.ts';
import { type Dataset, inspectDataset, loadDataset, type Manifest, resolveSource } from '../data/index.ts';

// What the commands without a training run in the job's thread.

/** `rec data prepare`. */
export async function prepareDataset(options: ConfigOptions, progress: Progress): Promise<Manifest> {
  return (await load(options, progress)).manifest;
}

/** `rec data inspect`. */
export async function summariseDataset(options: ConfigOptions, progress: Progress) {
  return inspectDataset(await load(options, progress));
}

async function load(options: ConfigOptions, progress: Progress): Promise<Dataset> {
  const { dataset, data, seed } = resolveData(options);
  return loadDataset(resolveSource(dataset), data, { progress, seed });
}
