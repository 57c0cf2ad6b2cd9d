import { z } from 'zod';
import { evalSettings } from '../evaluation/settings.ts';
import {
  type Catalogue,
  chooseEncoder,
  chooseModel,
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
} from './options.ts';
import { resolve } from './resolve.ts';
import { trackingSettings } from './tracking-settings.ts';
import { lossSettings, trainSettings } from './train-settings.ts';
import { type Layer, only, type Values } from './values.ts';
import { configAsYaml } from './write.ts';

const shared = z.strictObject({
  ...dataSections,
  train: trainSettings,
  loss: lossSettings,
  eval: evalSettings,
  tracking: trackingSettings,
  ...computeSettings,
});

/** Settings that every run has, whatever its model and encoder. */
export type SharedSettings = z.output<typeof shared>;

/** A run whose every setting is decided. */
export interface ResolvedRun<M extends ModelEntry = ModelEntry, E extends EncoderEntry = EncoderEntry>
  extends SharedSettings {
  model: { entry: M; settings: Record<string, unknown> };
  /** Undefined for models that take ids only. `name` is what results show: 'blair-base', 'file:games.feature'. */
  encoder?: { entry: E; name: string; settings: Record<string, unknown> };
  /** A name from configs/datasets, or a folder. */
  dataset: string;
  /** A number to use: one a core where the setting is 0. */
  threads: number;
  /** All settings, nested as in the YAML file. */
  config: Record<string, unknown>;
  /** Dotted key -> where its value came from. */
  origins: Record<string, string>;
  /** All settings as a YAML file that `--config` reads back, origins in comments. */
  yaml: string;
  /** What the user should know: options that have no effect here. */
  notes: string[];
}

/**
 * Decides every setting of a run: schema default < configs/ of its model, dataset and encoder < a sweep's layers <
 * --config < --set and the dedicated flags.
 * @throws UsageError for names, keys and values that cannot be meant
 */
export function resolveRun<M extends ModelEntry, E extends EncoderEntry>(
  options: ConfigOptions,
  catalogue: Catalogue<M, E>,
  sweep: readonly Layer[] = [],
): ResolvedRun<M, E> {
  const { run, origins: chosenBy } = resolveChoices(options, catalogue, sweep);
  const model = chooseModel(catalogue, run.model, chosenBy['run.model']);
  const encoder = chooseEncoder(catalogue, run.encoder, chosenBy['run.encoder']);
  const schema = z.strictObject({
    run: choices,
    model: model.entry.config,
    encoder: encoder.entry.config,
    ...shared.shape,
  });
  const { config, origins } = resolve(schema, [
    ...model.defaults,
    datasetDefaults(run.dataset),
    ...encoder.defaults,
    ...sweep,
    ...userLayers(options, schema),
  ]);
  const resolved = {
    ...(config as SharedSettings),
    threads: effectiveThreads(config.threads as number),
    model: { entry: model.entry, settings: config.model },
    dataset: run.dataset,
    origins,
  };
  if (model.entry.input === 'id') {
    const used = withoutEncoder(config);
    const idle = `${run.model} learns from item ids only: encoder ${run.encoder} (${chosenBy['run.encoder']}) has no effect`;
    const asked = !/^(default|configs\/)/.test(chosenBy['run.encoder']);
    const notes = asked ? [idle] : [];
    return {
      ...resolved,
      encoder: undefined,
      config: used,
      yaml: configAsYaml(schema, used, origins),
      notes,
    };
  }
  const chosen = { entry: encoder.entry, name: encoder.name, settings: config.encoder };
  return { ...resolved, encoder: chosen, config, yaml: configAsYaml(schema, config, origins), notes: [] };
}

/** Model, encoder and dataset are chosen first: the other keys depend on them. */
function resolveChoices(options: ConfigOptions, catalogue: Catalogue, sweep: readonly Layer[]) {
  const schema = z.strictObject({ run: choices });
  const layers = [...sweep, ...userLayers(options, schema)].map((layer) => only(layer, ['run']));
  // A dataset may bring vectors of its own, which are then the default encoder.
  const { run } = resolve(z.strictObject({ run: choices.partial() }), layers).config;
  const own = only(datasetDefaults(run.dataset ?? 'demo'), ['run']);
  const { config, origins } = resolve(schema, [own, ...layers], {
    'run.model': `which model? Give --model with one of [${catalogue.models.names().sort().join(', ')}].`,
  });
  return { run: config.run, origins };
}

function withoutEncoder({ encoder: _settings, run, ...rest }: Values): Values {
  const { encoder: _name, ...choice } = run as Values;
  return { run: choice, ...rest };
}
