import { z } from 'zod';
import { type Catalogue, chooseEncoder, type EncoderEntry, type ModelEntry } from '../configs/catalogue.ts';
import { flagLayer } from '../configs/layers.ts';
import {
  type ConfigOptions,
  computeSettings,
  dataSections,
  effectiveThreads,
  userLayersForPart,
} from '../configs/options.ts';
import { partChoices, partOf, resolveChoices } from '../configs/parts.ts';
import { resolve } from '../configs/resolve.ts';
import { configAsYaml } from '../configs/write.ts';
import { searchSections } from './settings.ts';

/** What `rec search` is asked for: plain data, so that it crosses to the job's thread. */
export interface SearchOptions extends ConfigOptions {
  method?: string;
  /** Length of lists. */
  k?: string;
}

/** Decides every setting of a search; the sections of a training run's configuration are skipped. */
export function resolveSearch<E extends EncoderEntry>(
  options: SearchOptions,
  catalogue: Catalogue<ModelEntry, E>,
) {
  const { dataset, encoder: name, origins: chosenBy } = resolveChoices(options);
  const encoder = chooseEncoder(catalogue, name, chosenBy['run.encoder']);
  const schema = z.strictObject({
    ...partChoices.shape,
    encoder: encoder.entry.config,
    ...searchSections,
    seed: dataSections.seed,
    ...computeSettings,
  });
  const { config, origins } = resolve(schema, [
    partOf(dataset, schema),
    ...encoder.defaults,
    ...userLayersForPart(options, schema),
    flagLayer(schema, { 'search.method': ['--method', options.method], 'search.topk': ['--k', options.k] }),
  ]);
  return {
    ...config,
    dataset,
    encoder: { entry: encoder.entry, name: encoder.name, settings: config.encoder },
    threads: effectiveThreads(config.threads),
    yaml: configAsYaml(schema, config, origins),
  };
}
