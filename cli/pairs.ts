import { command } from './command.ts';
import { jobsOf } from './job.ts';
import { configOptions, outputOptions, text } from './options.ts';
import { printResult } from './output.ts';
import { pairsAsText } from './summary.ts';

const jobs = jobsOf<typeof import('./jobs.ts')>(new URL('./jobs.ts', import.meta.url));

/** `rec data pairs`: pretraining pairs of raw reviews. */
export const pairs = command({
  command: 'pairs <folders..>',
  describe: 'build pretraining pairs (review, item metadata) from folders of raw reviews, one domain each',
  builder: (yargs) =>
    yargs
      .positional('folders', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'folders with reviews and metadata',
      })
      .options({
        out: { ...text('the file to write; zipped where it ends in .gz'), default: 'pairs.tsv.gz' },
        config: configOptions.config,
        set: configOptions.set,
        ...outputOptions,
      }),
  async handler({ folders, out, config, set, json, quiet }) {
    const report = await jobs('buildPretrainingPairs', { folders, out, config, set }, quiet);
    printResult(report, json, () => pairsAsText(report));
  },
});
