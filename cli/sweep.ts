import { UserError } from '../common/errors.ts';
import { command } from './command.ts';
import { interrupted, interruptible } from './interrupt.ts';
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

/** `rec sweep FILE`: many runs from one file; given again, it goes on where it stopped. */
export const sweep = command({
  command: 'sweep <file>',
  describe: 'carry out the runs that a sweep file describes, or go on with them',
  builder: (yargs) =>
    yargs
      .positional('file', {
        type: 'string',
        demandOption: true,
        describe: 'a YAML file: base, grid, zip, random, halving',
      })
      .options({
        dataset: configOptions.dataset,
        ...encoderOptions,
        plugin: configOptions.plugin,
        set: { ...configOptions.set, describe: 'settings key=value of every trial, over the file' },
        seed: configOptions.seed,
        jobs: { ...text('trials at once, which share the threads'), default: '1' },
        runs: { ...text("folder that the sweep's folder is made in"), default: 'runs' },
        folder: text("the sweep's folder itself, in place of one made in --runs"),
        ...deviceOptions,
        threads: text('threads of all trials together [default: one a core]'),
        ...queueOptions,
        ...outputOptions,
      })
      .example('$0 sweep configs/sweeps/demo.yaml --jobs 2', ''),
  async handler({ file, jobs, threads, runs, folder, queue, artifacts, json, quiet, ...settings }) {
    const { openSweep } = await import('../sweeps/index.ts');
    const { SweepView, sweepAsText } = await import('./sweep-view.ts');
    const options = {
      file,
      settings: configurationOf(settings),
      jobs: count('--jobs', jobs),
      threads: threads === undefined ? undefined : count('--threads', threads),
      runs,
      folder,
      queue,
      artifacts,
    };
    const sweep = await openSweep(options, interrupted, (text) => view.say(text));
    const view = new SweepView(sweep, process.stderr, quiet);
    try {
      await interruptible(() => sweep.run((row) => view.update(row)));
    } finally {
      view.close();
    }
    printResult(sweep.listing(), json, () => sweepAsText(sweep));
    const failed = sweep.rows.filter(({ status }) => status === 'failed').length;
    if (failed)
      throw new UserError(
        `${failed} of ${sweep.rows.length} trials failed; the same command tries them again; remove a trial's folder to begin it anew`,
      );
  },
});
