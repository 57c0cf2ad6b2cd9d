import { UsageError } from '../common/errors.ts';
import type { ConfigOptions } from '../configs/options.ts';
import { deviceNames } from '../engine/devices/names.ts';

/** An option that takes one text; what it means is for the configuration's schema to say. */
export function text(describe: string) {
  return { type: 'string', requiresArg: true, describe } as const;
}

/** An option that may be given several times, each time with one text. */
export function texts(describe: string) {
  return { ...text(describe), array: true, nargs: 1, default: [] as string[] } as const;
}

/** Options that decide the configuration, as `run`, `encode` and `data` share them. */
export const configOptions = {
  dataset: text('a name from `rec datasets`, or a folder in a known layout [default: demo]'),
  plugin: texts('a file that defines models, encoders or datasets; repeatable'),
  config: text('a YAML file of settings, over the defaults'),
  set: {
    type: 'string',
    array: true,
    requiresArg: true,
    default: [] as string[],
    describe: 'settings key=value, over everything else',
  },
  seed: text('random seed'),
} as const;

/** Options that decide how a text becomes a vector. */
export const encoderOptions = {
  encoder: text('a name from `rec encoders`'),
  features: text('a ready-made .feature matrix, one row an item (the same as --encoder file:F)'),
} as const;

/** Options that decide what computes. */
export const deviceOptions = {
  device: text(`one of ${['auto', ...deviceNames].join(', ')}`),
  threads: text('threads of the CPU device'),
} as const;

/** Options that hand work to other machines. */
export const queueOptions = {
  queue: text('redis://[user:password@]host[:port][/database] whose workers (`rec worker`) do the work'),
  artifacts: text('s3://bucket/prefix that files go through [default: a folder that all machines share]'),
} as const;

/** @throws UsageError unless the text is a whole number, `least` or more */
export function count(option: string, text: string, least = 1): number {
  if (!/^\d{1,6}$/.test(text) || Number(text) < least)
    throw new UsageError(`${option} must be a whole number, ${least} or more; got '${text}'`);
  return Number(text);
}

/** Options that decide what is printed. */
export const outputOptions = {
  json: { type: 'boolean', default: false, describe: 'print one JSON object on standard output' },
  quiet: { type: 'boolean', default: false, describe: 'no progress on standard error' },
} as const;

/** What of a command's arguments decides the configuration. */
export function configurationOf(options: ConfigOptions): ConfigOptions {
  const { model, encoder, features, dataset, plugin, config, set, seed, device, threads } = options;
  return {
    ...{ model, encoder, features, dataset, config, set, seed, device, threads },
    plugin: plugin?.length ? plugin : undefined,
  };
}
