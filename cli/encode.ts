import type { CommandModule } from 'yargs';
import type { ConfigOptions } from '../configs/options.ts';
import { job } from './job.ts';
import {
  configOptions,
  configurationOf,
  deviceOptions,
  encoderOptions,
  outputOptions,
  text,
} from './options.ts';
import { printResult } from './output.ts';
import { formatDuration, formatNumber } from './style.ts';

/** What `encode` reports. */
export interface EncodeResult {
  dataset: string;
  encoder: string;
  items: number;
  dims: number;
  seconds: number;
  hash: string;
  /** The .feature file that was asked for. */
  out?: string;
}

interface Arguments extends ConfigOptions {
  out?: string;
  json: boolean;
  quiet: boolean;
}

/** `rec encode`: item texts to vectors, kept in the cache, and on demand in a file of their own. */
export const encode: CommandModule<object, Arguments> = {
  command: 'encode',
  describe: "embed a dataset's item texts; runs find the vectors in the cache",
  builder: (yargs) =>
    yargs.options({
      ...encoderOptions,
      ...configOptions,
      out: text('write the vectors to this .feature file too'),
      ...deviceOptions,
      ...outputOptions,
    }) as never,
  async handler({ out, json, quiet, ...rest }) {
    const jobs = new URL('./jobs.ts', import.meta.url);
    const result = (await job(
      jobs,
      'encodeItems',
      { options: configurationOf(rest), out },
      quiet,
    )) as EncodeResult;
    printResult(result, json, () => encodedAsText(result));
  },
};

function encodedAsText({ dataset, encoder, items, dims, seconds, out }: EncodeResult): string {
  const where = out ? `, written to ${out}` : '';
  return `${encoder} on ${dataset}: ${formatNumber(items)} items x ${dims} dimensions in ${formatDuration(seconds)}${where}`;
}
