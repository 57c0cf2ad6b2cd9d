import type { CommandModule } from 'yargs';
import { writeFileAtomic } from '../common/files.ts';
import { histogramsAsSvg } from '../data/histogram.ts';
import { command } from './command.ts';
import { download } from './download.ts';
import { exportCommand } from './export.ts';
import { jobsOf } from './job.ts';
import { configOptions, configurationOf, outputOptions, text } from './options.ts';
import { printResult } from './output.ts';
import { describeOwn, ownOptions } from './own.ts';
import { pairs } from './pairs.ts';
import { manifestAsText, summaryAsText } from './summary.ts';

const jobs = jobsOf<typeof import('./jobs.ts')>(new URL('./jobs.ts', import.meta.url));

const prepare = command({
  command: 'prepare',
  describe: 'read, clean and split a dataset; what was read, kept and dropped',
  builder: (yargs) =>
    yargs
      .options({
        ...configOptions,
        ...ownOptions,
        strict: {
          type: 'boolean',
          default: false,
          describe: 'fail at the first row that cannot be read (--set data.strict=true)',
        },
        ...outputOptions,
      })
      .example(
        '$0 data prepare --reviews my.csv --items my.jsonl --columns user=uid,item=sku,time=date,text=name+about --save shop.yaml',
        '',
      ),
  async handler({ json, quiet, strict, ...rest }) {
    const own = describeOwn(rest);
    const set = strict ? [...rest.set, 'data.strict=true'] : rest.set;
    const options = configurationOf({ ...rest, set, dataset: own ?? rest.dataset });
    const manifest = await jobs('prepareDataset', options, quiet);
    const next = own === undefined ? '' : `\n\nto go on with it: rec run --dataset ${own}`;
    printResult(manifest, json, () => manifestAsText(manifest) + next);
  },
});

const inspect = command({
  command: 'inspect',
  describe: 'look at a prepared dataset: statistics, histories, popularity, texts, leaks, examples',
  builder: (yargs) =>
    yargs.options({
      ...configOptions,
      svg: text('write the histograms to this file'),
      ...outputOptions,
    }),
  async handler({ json, quiet, svg, ...rest }) {
    const summary = await jobs('summariseDataset', configurationOf(rest), quiet);
    if (svg !== undefined) await writeFileAtomic(svg, histogramsAsSvg(summary.name, summary.histograms));
    printResult(summary, json, () => summaryAsText(summary));
  },
});

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
