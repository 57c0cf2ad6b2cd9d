import { UserError } from '../common/errors.ts';
import type { Rerun } from '../training/rerun.ts';
import { command } from './command.ts';
import { jobsOf } from './job.ts';
import { outputOptions, text } from './options.ts';
import { printResult } from './output.ts';
import { table } from './style.ts';

const jobs = jobsOf<typeof import('../training/rerun.ts')>(new URL('../training/rerun.ts', import.meta.url));

/** `rec rerun DIR`: repeats a run from its folder and compares. */
export const rerun = command({
  command: 'rerun <folder>',
  describe: 'repeat a run from its folder, and compare: the same bits here, near ones elsewhere',
  builder: (yargs) =>
    yargs.positional('folder', { type: 'string', demandOption: true, describe: 'a finished run' }).options({
      runs: { ...text('folder that the repetition goes into'), default: 'runs' },
      ...outputOptions,
    }),
  async handler({ folder, runs, json, quiet }) {
    const result = await jobs('rerunExperiment', { folder, runs }, quiet);
    printResult(result, json, () => rerunAsText(result));
    if (!result.repeated) throw new UserError(`${result.before} could not be repeated: see above`);
  },
});

function rerunAsText({ before, after, changed, differences, identical, figures }: Rerun): string {
  const places = changed.length
    ? `another environment: ${changed.join(', ')} differ (environment.json of both says how)`
    : 'the same environment';
  const outcome = identical
    ? ['identical: losses, validation metrics, best parameters and test ranks are equal to the last bit']
    : differences.map((difference) => `not identical: ${difference}`);
  const digits = (value: number) => Number(value.toPrecision(7)).toString();
  const rows = figures.map(({ name, before: one, after: two, within }) => {
    const verdict = one === two ? 'equal' : within ? 'within tolerance' : 'beyond tolerance';
    return [name, digits(one), digits(two), verdict];
  });
  return [
    `${before} repeated as ${after}, in ${places}`,
    ...outcome,
    '',
    table(['', 'before', 'now', ''], rows),
  ].join('\n');
}
