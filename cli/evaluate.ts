import type { CommandModule } from 'yargs';
import type { RunResult } from '../training/index.ts';
import { job } from './job.ts';
import { configOptions, deviceOptions, outputOptions } from './options.ts';
import { printResult } from './output.ts';
import { resultAsText } from './result.ts';

interface Arguments {
  folder: string;
  set: string[];
  device?: string;
  threads?: string;
  json: boolean;
  quiet: boolean;
}

/** `rec evaluate DIR`: the metrics of a run's best checkpoint, anew. */
export const evaluate: CommandModule<object, Arguments> = {
  command: 'evaluate <folder>',
  describe: "evaluate a run folder's best checkpoint anew",
  builder: (yargs) =>
    yargs
      .positional('folder', { type: 'string', demandOption: true, describe: 'a run folder' })
      .options({ set: configOptions.set, ...deviceOptions, ...outputOptions }) as never,
  async handler({ folder, set, device, threads, json, quiet }) {
    const training = new URL('../training/index.ts', import.meta.url);
    const result = (await job(training, 'evaluateRun', { folder, set, device, threads }, quiet)) as RunResult;
    printResult(result, json, () => resultAsText(result));
  },
};
