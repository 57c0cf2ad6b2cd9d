import { UserError } from '../common/errors.ts';
import type { Checked } from '../training/contract/index.ts';
import { command } from './command.ts';
import { jobsOf } from './job.ts';
import { outputOptions } from './options.ts';
import { printResult } from './output.ts';
import { paint } from './style.ts';

const jobs = jobsOf<typeof import('../training/contract/index.ts')>(
  new URL('../training/contract/index.ts', import.meta.url),
);

/** `rec check FILE`: whether a plugin keeps the contract of what it defines. */
export const check = command({
  command: 'check <file>',
  describe: "check a plugin's models, encoders and datasets against their contracts",
  builder: (yargs) =>
    yargs
      .positional('file', { type: 'string', demandOption: true, describe: 'a plugin, as for --plugin' })
      .options(outputOptions)
      .example('$0 check ./my-model.ts', ''),
  async handler({ file, json, quiet }) {
    const checked = await jobs('checkPlugin', file, quiet);
    printResult({ checked }, json, () => checkedAsText(checked));
    const broken = checked.flatMap(({ checks }) => checks).filter(({ failure }) => failure).length;
    if (broken) throw new UserError(`${file} breaks ${broken} of its contract's rules`);
  },
});

function checkedAsText(checked: readonly Checked[]): string {
  return checked
    .flatMap(({ kind, name, checks }) => [
      paint(process.stdout, 'bold', `${kind} ${name}`),
      ...checks.map(outcomeAsText),
    ])
    .join('\n');
}

function outcomeAsText({ name, rule, failure, skipped, note }: Checked['checks'][number]): string {
  if (failure) return `  ${paint(process.stdout, 'red', 'FAILED')}   ${name}: ${failure}`;
  if (skipped) return `  ${paint(process.stdout, 'dim', 'skipped')}  ${name}`;
  const ok = `  ${paint(process.stdout, 'green', 'ok')}       ${name}: ${rule}`;
  return note ? `${ok}\n  ${paint(process.stdout, 'yellow', 'note')}     ${name}: ${note}` : ok;
}
