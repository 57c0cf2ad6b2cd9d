import type { CommandModule } from 'yargs';
import type { ConfigOptions } from '../configs/options.ts';
import type { Manifest } from '../data/dataset.ts';
import type { DatasetSummary } from '../data/inspect.ts';
import { download } from './download.ts';
import { exportCommand } from './export.ts';
import { job } from './job.ts';
import { configOptions, configurationOf, outputOptions } from './options.ts';
import { printResult } from './output.ts';
import { pairs } from './pairs.ts';
import { manifestAsText, summaryAsText } from './summary.ts';

interface Arguments extends ConfigOptions {
  json: boolean;
  quiet: boolean;
}

const jobs = new URL('./jobs.ts', import.meta.url);

const prepare: CommandModule<object, Arguments> = {
  command: 'prepare',
  describe: 'read, clean and split a dataset; what was read, kept and dropped',
  builder: (yargs) => yargs.options({ ...configOptions, ...outputOptions }) as never,
  async handler({ json, quiet, ...rest }) {
    const manifest = (await job(jobs, 'prepareDataset', configurationOf(rest), quiet)) as Manifest;
    printResult(manifest, json, () => manifestAsText(manifest));
  },
};

const inspect: CommandModule<object, Arguments> = {
  command: 'inspect',
  describe: 'look at a prepared dataset: histories, texts, cold items, examples',
  builder: (yargs) => yargs.options({ ...configOptions, ...outputOptions }) as never,
  async handler({ json, quiet, ...rest }) {
    const summary = (await job(jobs, 'summariseDataset', configurationOf(rest), quiet)) as DatasetSummary;
    printResult(summary, json, () => summaryAsText(summary));
  },
};

/** `rec data download | prepare | inspect | export | pairs`. */
export const data: CommandModule = {
  command: 'data',
  describe: 'download, prepare, inspect or export a dataset, build pretraining pairs',
  builder: (yargs) =>
    yargs
      .command(download)
      .command(prepare)
      .command(inspect)
      .command(exportCommand)
      .command(pairs)
      .demandCommand(1, 'which action? download, prepare, inspect, export or pairs.'),
  handler: () => {},
};
