import { UsageError } from '../common/errors.ts';
import type { ConfigOptions } from '../configs/options.ts';
import { command } from './command.ts';
import { jobsOf } from './job.ts';
import {
  configOptions,
  configurationOf,
  count,
  deviceOptions,
  encoderOptions,
  outputOptions,
  queueOptions,
  text,
} from './options.ts';
import { printResult } from './output.ts';
import { formatDuration, formatNumber } from './style.ts';

const jobs = jobsOf<typeof import('./jobs.ts')>(new URL('./jobs.ts', import.meta.url));

/** What `encode` is asked for. */
export interface EncodeRequest {
  options: ConfigOptions;
  /** A .feature file to write. */
  out?: string;
  /** Only these shards; undefined: all. */
  shards?: number[];
  /** URL of the Redis whose workers are to embed; undefined: this machine does. */
  queue?: string;
  artifacts?: string;
}

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
  /** The shards that were asked for; undefined: all. */
  shards?: number[];
}

/** `rec encode`: item texts to vectors, kept in the cache, and on demand in a file of their own. */
export const encode = command({
  command: 'encode',
  describe: "embed a dataset's item texts; runs find the vectors in the cache",
  builder: (yargs) =>
    yargs.options({
      ...encoderOptions,
      ...configOptions,
      out: text('write the vectors to this .feature file too'),
      shards: text(
        'only these shards of 512 distinct texts, as 0,1,2: parts of the work for several machines',
      ),
      ...queueOptions,
      ...deviceOptions,
      ...outputOptions,
    }),
  async handler({ out, shards, queue, artifacts, json, quiet, ...rest }) {
    if (shards !== undefined && (out ?? queue) !== undefined)
      throw new UsageError('--shards makes a part of the vectors: leave out --out and --queue');
    const request: EncodeRequest = {
      options: configurationOf(rest),
      out,
      shards: shards?.split(',').map((shard) => count('--shards', shard, 0)),
      queue,
      artifacts,
    };
    const result = await jobs('encodeItems', request, quiet);
    printResult(result, json, () => encodedAsText(result));
  },
});

function encodedAsText({ dataset, encoder, items, dims, seconds, out, shards }: EncodeResult): string {
  if (shards) return `${encoder} on ${dataset}: ${shards.length} shards in ${formatDuration(seconds)}`;
  const where = out ? `, written to ${out}` : '';
  return `${encoder} on ${dataset}: ${formatNumber(items)} items x ${dims} dimensions in ${formatDuration(seconds)}${where}`;
}
