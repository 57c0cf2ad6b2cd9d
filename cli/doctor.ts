import { UserError } from '../common/errors.ts';
import type { Finding, Section } from '../doctor/index.ts';
import { command } from './command.ts';
import { jobsOf } from './job.ts';
import { outputOptions, text } from './options.ts';
import { printResult } from './output.ts';
import { paint } from './style.ts';

const jobs = jobsOf<typeof import('../doctor/index.ts')>(new URL('../doctor/index.ts', import.meta.url));

/** `rec doctor`: what works on this machine, and what would mend the rest. */
export const doctor = command({
  command: 'doctor',
  describe: 'say what works on this machine, each device measured, and what would mend the rest',
  builder: (yargs) =>
    yargs.options({
      runs: { ...text('folder that run folders would go to'), default: 'runs' },
      ...outputOptions,
    }),
  async handler({ runs, json, quiet }) {
    const sections = await jobs('examineAll', runs, quiet);
    printResult({ sections }, json, () => sections.map(sectionAsText).join('\n\n'));
    const problems = sections
      .flatMap(({ findings }) => findings)
      .filter(({ status }) => status === 'problem');
    if (problems.length)
      throw new UserError(`${problems.map(({ what }) => what).join(', ')}: rec does not work like this`);
  },
});

const COLOURS = { ok: 'green', note: 'yellow', problem: 'red' } as const;

function sectionAsText({ title, findings }: Section): string {
  const width = Math.max(...findings.map(({ what }) => what.length));
  const line = ({ what, status, found, remedy }: Finding) => {
    const mark = paint(process.stdout, COLOURS[status], status.padEnd(7));
    const more = remedy ? `\n  ${' '.repeat(7 + width + 4)}${remedy}` : '';
    return `  ${mark}  ${what.padEnd(width)}  ${found}${more}`;
  };
  return [paint(process.stdout, 'bold', title), ...findings.map(line)].join('\n');
}
