import { UsageError } from '../common/errors.ts';
import type { RunOptions } from '../configs/options.ts';
import type { PausedRun } from '../training/index.ts';
import { command } from './command.ts';
import { jobsOf } from './job.ts';
import {
  configOptions,
  configurationOf,
  deviceOptions,
  encoderOptions,
  outputOptions,
  text,
} from './options.ts';
import { printResult } from './output.ts';
import { resultAsText } from './result.ts';

const jobs = jobsOf<typeof import('../training/index.ts')>(new URL('../training/index.ts', import.meta.url));

/** `rec run`: prepare, encode, train, evaluate; leaves a run folder. */
export const run = command({
  command: 'run',
  describe: 'train a model on a dataset and evaluate it',
  builder: (yargs) =>
    yargs
      .options({
        model: text('a name from `rec models`'),
        ...encoderOptions,
        ...configOptions,
        runs: { ...text('folder that run folders are made in'), default: 'runs' },
        ...deviceOptions,
        folder: text('the run folder itself, in place of one made in --runs'),
        resume: text('go on with an interrupted or paused run, as if nothing had happened'),
        'pause-after': { type: 'number', requiresArg: true, describe: 'pause after so many epochs' },
        ...outputOptions,
      })
      .example('$0 run --model unisrec --encoder lsa', 'on the synthetic demo data')
      .example('$0 run --model sasrec --dataset ./my-data --set train.epochs=20 --seed 7', ''),
  async handler({ runs, folder, resume, 'pause-after': pauseAfter, json, quiet, ...rest }) {
    if (pauseAfter !== undefined && !(Number.isInteger(pauseAfter) && pauseAfter > 0))
      throw new UsageError('--pause-after must be a number of epochs, 1 or more');
    const options: RunOptions = { ...configurationOf(rest), runs, folder, resume, pauseAfter };
    if (resume !== undefined) refuseOthers(options);
    const entry = resume === undefined ? 'runExperiment' : 'resumeExperiment';
    const result = await jobs(entry, options, quiet);
    printResult(result, json, () => ('paused' in result ? pausedAsText(result) : resultAsText(result)));
  },
});

function pausedAsText({ paused: { epochs, bestEpoch }, run }: PausedRun): string {
  return `paused after epoch ${epochs}, best epoch ${bestEpoch}; go on with: rec run --resume ${run}`;
}

/** A run is resumed as it was: what would change it is refused, not ignored. Threads change its speed only. */
function refuseOthers({
  runs: _r,
  resume: _f,
  threads: _t,
  pauseAfter: _p,
  set,
  ...others
}: RunOptions): void {
  const given = Object.entries(others).filter(([, value]) => value !== undefined);
  const names = [...given.map(([name]) => `--${name}`), ...(set.length ? ['--set'] : [])];
  if (names.length) {
    throw new UsageError(`--resume goes on with a run as it was configured; leave out ${names.join(', ')}`);
  }
}
