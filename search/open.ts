import type { Progress } from '../common/progress.ts';
import { projectCatalogue } from '../configs/catalogue.ts';
import { missingOf } from '../data/hub-files.ts';
import { resolveSource } from '../data/index.ts';
import { missingWeights } from '../encoders/index.ts';
import { download } from '../hub/index.ts';
import { resolveSearch, type SearchOptions } from './configuration.ts';
import { loadTask } from './load.ts';

/** Decides the settings of a search, and reads its task; what is missing of both is downloaded first. */
export async function openTask(options: SearchOptions, progress: Progress) {
  const config = resolveSearch(options, await projectCatalogue(options));
  const source = resolveSource(config.dataset);
  const { entry, settings } = config.encoder;
  const weights = config.search.method === 'bm25' ? undefined : await missingWeights(entry, settings);
  await download([await missingOf(source), weights], progress);
  return { config, task: await loadTask(source, config.pool, { progress, seed: config.seed }) };
}
