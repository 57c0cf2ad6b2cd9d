import yargs, { type Argv } from 'yargs';
import { nearest, UsageError, unknownName } from '../common/errors.ts';
import { packageManifest } from '../common/package.ts';
import { check } from './check.ts';
import { data } from './data.ts';
import { doctor } from './doctor.ts';
import { encode } from './encode.ts';
import { evaluate } from './evaluate.ts';
import { watchInterrupts } from './interrupt.ts';
import { datasets, encoders, models } from './list.ts';
import { create } from './new.ts';
import { endOnClosedPipe, reportFailure } from './output.ts';
import { pretrain } from './pretrain.ts';
import { report } from './report.ts';
import { rerun } from './rerun.ts';
import { run } from './run.ts';
import { search } from './search.ts';
import { setup } from './setup.ts';
import { sweep } from './sweep.ts';
import { worker } from './worker.ts';

/** The process's one command line: sets the exit code, and heeds interrupts and closed pipes. */
export async function main(argv: readonly string[]): Promise<void> {
  endOnClosedPipe();
  watchInterrupts();
  process.on('uncaughtException', (error) => process.exit(reportFailure(error, argv.includes('--debug'))));
  process.exitCode = await execute(argv);
}

/** Runs a command line; resolves to its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted. */
export async function execute(argv: readonly string[]): Promise<number> {
  try {
    await parser(argv).parseAsync();
    return 0;
  } catch (error) {
    return reportFailure(error, argv.includes('--debug'));
  }
}

function parser(argv: readonly string[]): Argv {
  const rec: Argv = yargs([...argv])
    .scriptName('rec')
    .usage('$0 <command>\n\nSequential recommenders with pluggable text encoders.')
    .command(run)
    .command(evaluate)
    .command(rerun)
    .command(check)
    .command(report)
    .command(sweep)
    .command(worker)
    .command(encode)
    .command(search)
    .command(pretrain)
    .command(data)
    .command(create)
    .command(doctor)
    .command(setup)
    .command(models)
    .command(encoders)
    .command(datasets)
    .option('debug', { type: 'boolean', describe: 'show the stack of a failure' })
    .demandCommand(1, 'which command? See rec --help.')
    .strict()
    .check((options) => refuseRepeats(options, rec))
    .parserConfiguration({ 'camel-case-expansion': false, 'dot-notation': false, 'parse-numbers': false })
    .version(packageManifest().version)
    .help()
    .alias({ h: 'help', v: 'version' })
    .detectLocale(false)
    .wrap(Math.min(110, process.stdout.columns ?? 100))
    .exitProcess(false);
  return rec.fail((message, error, usage) => {
    // An error of a command's own passes unchanged; yargs's are about the command line.
    if (error && error.name !== 'YError') throw error;
    throw new UsageError(explain(error?.message ?? message, rec, usage));
  });
}

/** One value was meant, which of the two is not ours to say; yargs would hand over both. */
function refuseRepeats(options: Record<string, unknown>, rec: Argv): true {
  const lists = ['_', ...(rec as unknown as ParsedOptions).getOptions().array];
  for (const [name, value] of Object.entries(options)) {
    if (Array.isArray(value) && !lists.includes(name)) {
      throw new UsageError(`--${name} is given ${value.length} times: ${value.join(', ')}`);
    }
  }
  return true;
}

// What yargs knows of the command that was being parsed; its types leave these two out.
interface ParsedOptions {
  getOptions(): { key: Record<string, unknown>; array: string[]; demandedOptions: Record<string, unknown> };
  getGroups(): Record<string, string[]>;
}
interface ParsedCommands {
  getCommands(): [command: string, ...unknown[]][];
}

/** The positional arguments that the command which was being parsed must have. */
function requiredOf(rec: Argv): string[] {
  const parsed = rec as unknown as ParsedOptions;
  const { demandedOptions } = parsed.getOptions();
  return (parsed.getGroups()['Positionals:'] ?? [])
    .filter((name) => name in demandedOptions)
    .map((name) => `<${name}>`);
}

/** Says what yargs says in a user's words, with the nearest valid option or command for an unknown one. */
function explain(message: string, rec: Argv, usage: unknown): string {
  const lacking = /^Not enough arguments following: (.*)/.exec(message);
  if (lacking) return `--${lacking[1]} needs a value. See rec --help.`;
  if (message.startsWith('Not enough non-option arguments'))
    return `a required argument is missing: ${requiredOf(rec).join(' ')}. See rec --help.`;
  const choice = /Argument: ([^,]+), Given: "(.*)", Choices: (.*)/.exec(message);
  if (choice) {
    const [, name, given, choices] = choice;
    return unknownName(
      name,
      given,
      [...choices.matchAll(/"([^"]*)"/g)].map(([, one]) => one),
    ).message;
  }
  const unknown = /^Unknown (?:argument|command)s?: ([^,]*)/.exec(message);
  if (!unknown) return message;
  const options = Object.keys((rec as unknown as ParsedOptions).getOptions().key);
  const commands = (usage as ParsedCommands)
    .getCommands()
    .map(([name]) => name.replace(/^rec /, '').split(' ')[0]);
  const word = unknown[1];
  const hint = nearest(word, [...options, ...commands]);
  const meant = hint ? `; did you mean '${commands.includes(hint) ? '' : '--'}${hint}'?` : '.';
  return `unknown option or command '${word}'${meant} See rec --help.`;
}
