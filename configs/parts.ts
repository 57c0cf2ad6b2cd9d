import { z } from 'zod';
import { type PairSettings, pairSettings } from '../data/pairs/settings.ts';
import {
  type Catalogue,
  chooseEncoder,
  datasetDefaults,
  type EncoderEntry,
  type ModelEntry,
} from './catalogue.ts';
import {
  type ConfigOptions,
  choices,
  computeSettings,
  dataSections,
  effectiveThreads,
  userLayers,
  userLayersForPart,
} from './options.ts';
import { resolve } from './resolve.ts';
import { only } from './values.ts';

/** What a command without a model chooses by name. */
export const partChoices = z.strictObject({ run: choices.extend({ model: z.string().optional() }) });

export function resolveChoices(options: ConfigOptions) {
  const layers = userLayersForPart(options, partChoices).map((layer) => only(layer, ['run']));
  const { config, origins } = resolve(partChoices, layers);
  return { ...config.run, origins };
}

/** The dataset's own settings, as far as a command knows their sections. */
export const partOf = (dataset: string, schema: z.ZodObject) =>
  only(datasetDefaults(dataset), Object.keys(schema.shape));

/** What decides a prepared dataset, for `rec data`. */
export function resolveData(options: ConfigOptions) {
  const { dataset } = resolveChoices(options);
  const schema = z.strictObject({ ...partChoices.shape, ...dataSections });
  const { config } = resolve(schema, [partOf(dataset, schema), ...userLayersForPart(options, schema)]);
  return { dataset, data: config.data, seed: config.seed };
}

/** What decides an item embedding, for `rec encode`. */
export function resolveEncoding<E extends EncoderEntry>(
  options: ConfigOptions,
  catalogue: Catalogue<ModelEntry, E>,
) {
  const { dataset, encoder: name, origins } = resolveChoices(options);
  const encoder = chooseEncoder(catalogue, name, origins['run.encoder']);
  const schema = z.strictObject({
    ...partChoices.shape,
    encoder: encoder.entry.config,
    ...dataSections,
    ...computeSettings,
  });
  const layers = [partOf(dataset, schema), ...encoder.defaults, ...userLayersForPart(options, schema)];
  const { encoder: settings, data, seed, device, threads, spinning } = resolve(schema, layers).config;
  return {
    dataset,
    data,
    seed,
    device,
    threads: effectiveThreads(threads),
    spinning,
    encoder: { entry: encoder.entry, name: encoder.name, settings },
  };
}

/** What decides pretraining pairs, for `rec data pairs`: keys `pairs.*`. */
export function resolvePairs(options: Pick<ConfigOptions, 'config' | 'set'>): PairSettings {
  const schema = z.strictObject({ pairs: pairSettings.prefault({}) });
  return resolve(schema, userLayers(options, schema)).config.pairs;
}
