import { command } from './command.ts';
import { jobsOf } from './job.ts';
import { configOptions, deviceOptions, outputOptions } from './options.ts';
import { printResult } from './output.ts';
import { resultAsText } from './result.ts';

const jobs = jobsOf<typeof import('../training/index.ts')>(new URL('../training/index.ts', import.meta.url));

/** `rec evaluate DIR`: the metrics of a run's best checkpoint, anew. */
export const evaluate = command({
  command: 'evaluate <folder>',
  describe: "evaluate a run folder's best checkpoint anew",
  builder: (yargs) =>
    yargs
      .positional('folder', { type: 'string', demandOption: true, describe: 'a run folder' })
      .options({ set: configOptions.set, ...deviceOptions, ...outputOptions }),
  async handler({ folder, set, device, threads, json, quiet }) {
    const result = await jobs('evaluateExperiment', { folder, set, device, threads }, quiet);
    printResult(result, json, () => resultAsText(result));
  },
});
