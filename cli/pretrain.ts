import { UsageError } from '../common/errors.ts';
import type { PretrainingResult } from '../training/pretraining/index.ts';
import type { PretrainingOptions } from '../training/pretraining/options.ts';
import { command } from './command.ts';
import { jobsOf } from './job.ts';
import { configOptions, deviceOptions, outputOptions, text } from './options.ts';
import { printResult } from './output.ts';
import { formatDuration, formatNumber, table } from './style.ts';

const jobs = jobsOf<typeof import('../training/pretraining/index.ts')>(
  new URL('../training/pretraining/index.ts', import.meta.url),
  'rec pretrain',
);

/** `rec pretrain`: a text encoder from pairs of reviews and item metadata; leaves a run folder with the encoder in it. */
export const pretrain = command({
  command: 'pretrain [recipe]',
  describe: 'pretrain a text encoder on (review, item metadata) pairs: BLaIR',
  builder: (yargs) =>
    yargs
      .positional('recipe', { type: 'string', describe: 'a name from configs/pretraining' })
      .options({
        pairs: text('a file of `rec data pairs`'),
        init: text(
          "what to start from: scratch, a checkpoint's folder or 'org/name', or the run of a pretraining",
        ),
        config: configOptions.config,
        set: configOptions.set,
        seed: configOptions.seed,
        runs: { ...text('folder that run folders are made in'), default: 'runs' },
        folder: text('the run folder itself, in place of one made in --runs'),
        ...deviceOptions,
        resume: text('go on with an interrupted pretraining, as if nothing had happened'),
        ...outputOptions,
      })
      .example('$0 pretrain blair-mini --pairs pairs.tsv.gz', 'a small encoder from scratch')
      .example('$0 pretrain blair-base --pairs pairs.tsv.gz', 'BLaIR from roberta-base'),
  async handler({
    recipe,
    pairs,
    init,
    config,
    set,
    seed,
    runs,
    folder,
    device,
    threads,
    resume,
    json,
    quiet,
  }) {
    const options: PretrainingOptions = {
      recipe,
      pairs,
      init,
      config,
      set,
      seed,
      runs,
      folder,
      device,
      threads,
      resume,
    };
    if (resume !== undefined) refuseOthers(options);
    const entry = resume === undefined ? 'runPretraining' : 'resumePretraining';
    const result = await jobs(entry, options, quiet);
    printResult(result, json, () => pretrainingAsText(result));
  },
});

/** A pretraining is resumed as it was: what would change it is refused, not ignored. Threads change its speed only. */
function refuseOthers({
  runs: _runs,
  resume: _resume,
  threads: _t,
  set,
  ...others
}: PretrainingOptions): void {
  const given = Object.entries(others).filter(([, value]) => value !== undefined);
  const names = [
    ...given.map(([name]) => (name === 'recipe' ? 'the recipe' : `--${name}`)),
    ...(set.length ? ['--set'] : []),
  ];
  if (names.length)
    throw new UsageError(`--resume goes on with a run as it was configured; leave out ${names.join(', ')}`);
}

function pretrainingAsText(result: PretrainingResult): string {
  const { encoder, objective, model, pairs, epochs, valid, test, timing, run } = result;
  const names = Object.keys({ ...valid, ...test });
  const row = (split: string, metrics: Record<string, number> = {}) => [
    split,
    ...names.map((name) => (metrics[name] === undefined ? '' : metrics[name].toFixed(4))),
  ];
  const lines = [
    `${formatNumber(model.parameters)} parameters, ${formatNumber(pairs.pairs.train)} pairs, kept: epoch ${epochs.best} of ${epochs.run}` +
      `, ${timing.pairsPerSecond} pairs/s, ${formatDuration(timing.totalSeconds)}`,
    table(['', ...names], [row('valid', valid), ...(test ? [row('test', test)] : [])]),
    `encoder: ${encoder} (use it with --encoder roberta:${encoder}${objective.pooling === 'mean' ? ' --set encoder.pooling=mean' : ''})`,
    `run: ${run}`,
  ];
  return lines.join('\n');
}
