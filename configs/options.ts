import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../common/errors.ts';
import { dataSettings } from '../data/settings.ts';
import { deviceNames } from '../engine/devices/names.ts';
import { assignmentLayer, type Flags, flagLayer, readYamlLayer } from './layers.ts';
import { type Layer, only } from './values.ts';

/** What the command line asks for: plain data, so that it crosses to the job's thread. */
export interface ConfigOptions {
  model?: string;
  /** A name from configs/encoders or a family, with 'name:argument' where it takes one: 'file:games.feature'. */
  encoder?: string;
  /** A ready-made .feature matrix; the same as encoder 'file:...'. */
  features?: string;
  /** A name from configs/datasets, or a folder. */
  dataset?: string;
  /** Files that define models, encoders or datasets; they are loaded before names are looked up. */
  plugin?: string[];
  /** Path of a YAML file of settings. */
  config?: string;
  /** 'key=value' assignments. */
  set: string[];
  seed?: string;
  device?: string;
  threads?: string;
}

/** A whole run as the command line asks for it. */
export interface RunOptions extends ConfigOptions {
  /** Folder that run folders are made in. */
  runs: string;
  /** The run folder itself, in place of one made in `runs`. */
  folder?: string;
  /** A run folder to go on with. */
  resume?: string;
  /** Pause after so many epochs, leaving a run to go on with. */
  pauseAfter?: number;
  /** A run folder whose dataset and text vectors this run must have. */
  inputsAsIn?: string;
}

/** The section `run`: what is chosen by name. */
export const choices = z.strictObject({
  model: z.string().describe('a name from `rec models`'),
  encoder: z
    .string()
    .default('blair-mini')
    .describe('a name from `rec encoders`; models that take ids only use none'),
  dataset: z.string().default('demo').describe('a name from `rec datasets`, or a folder'),
  plugin: z.array(z.string()).optional().describe('files that define more models, encoders or datasets'),
});

/** Settings of everything that reads a dataset. */
export const dataSections = {
  data: dataSettings,
  seed: z
    .int()
    .nonnegative()
    .default(2020)
    .describe('seeds initial weights, shuffles, dropout and random ties'),
};

/** Settings of everything that computes. */
export const computeSettings = {
  device: z
    .enum(['auto', ...deviceNames])
    .default('auto')
    .describe('what computes; auto takes the best that works here'),
  threads: z.int().nonnegative().default(0).describe('threads of the CPU device; 0: one a core'),
  spinning: z
    .boolean()
    .default(false)
    .describe(
      'threads of the CPU device that wait for work keep their cores busy: for machines that do nothing else',
    ),
};

/** The number that the setting `threads` stands for on this machine. */
export function effectiveThreads(threads: number): number {
  return threads || availableParallelism();
}

/** The layers that the user gives, for a schema: --config, --set, dedicated flags. */
export function userLayers(options: ConfigOptions, schema: z.ZodObject): Layer[] {
  const { config, set } = options;
  const file = config === undefined ? [] : [readYamlLayer(config)];
  return [...file, assignmentLayer(schema, set), flagLayer(schema, flagsOf(options))];
}

/**
 * The same for a command that needs only some sections of a run: a run's configuration file serves it too, the
 * sections that mean nothing to it being skipped.
 */
export function userLayersForPart(options: ConfigOptions, schema: z.ZodObject): Layer[] {
  const { config, ...direct } = options;
  const file = config === undefined ? [] : [only(readYamlLayer(config), Object.keys(schema.shape))];
  return [...file, ...userLayers(direct, schema)];
}

// Paths are written into a run as absolute ones: the run is then resumed from any folder.
const isPath = (nameOrPath: string) => /[\\/]|^\.|\.ya?ml$/.test(nameOrPath);

function flagsOf(options: ConfigOptions): Flags {
  const { model, encoder, features, dataset, plugin, seed, device, threads } = options;
  if (encoder !== undefined && features !== undefined) {
    throw new UsageError(
      `--features ${features} is short for --encoder file:${features}: leave out --encoder ${encoder}`,
    );
  }
  return {
    'run.model': ['--model', model],
    'run.encoder':
      features === undefined
        ? [
            '--encoder',
            encoder?.replace(/:(.+)$/, (whole, path) => (existsSync(path) ? `:${resolve(path)}` : whole)),
          ]
        : ['--features', `file:${resolve(features)}`],
    'run.dataset': ['--dataset', dataset && isPath(dataset) ? resolve(dataset) : dataset],
    'run.plugin': [
      '--plugin',
      plugin?.length ? JSON.stringify(plugin.map((path) => resolve(path))) : undefined,
    ],
    seed: ['--seed', seed],
    device: ['--device', device],
    threads: ['--threads', threads],
  };
}
