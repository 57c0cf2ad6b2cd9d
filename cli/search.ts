import { createInterface } from 'node:readline';
import type { CommandModule } from 'yargs';
import { UsageError } from '../common/errors.ts';
import { Progress } from '../common/progress.ts';
import type { SearchOptions } from '../search/configuration.ts';
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
import { ProgressRenderer } from './progress.ts';
import { answersAsText, searchAsText } from './search-result.ts';

const tasks = jobsOf<typeof import('../search/run.ts')>(new URL('../search/run.ts', import.meta.url));
const queries = jobsOf<typeof import('../search/query.ts')>(new URL('../search/query.ts', import.meta.url));

const searchOptions = {
  method: text('bm25, dense or hybrid [default: bm25]'),
  ...encoderOptions,
  ...configOptions,
  dataset: text('a search task: a name from `rec datasets`, or a folder in a known layout'),
  ...deviceOptions,
  ...outputOptions,
};

const run = command({
  command: 'run',
  describe: 'search a task: all of its queries, metrics, TREC files',
  builder: (yargs) =>
    yargs.options({
      ...searchOptions,
      k: text('list lengths, as in 10,100 (the same as --set search.topk=...)'),
      runs: { ...text('folder that result folders are made in'), default: 'runs' },
    }),
  async handler({ json, quiet, runs, ...rest }) {
    const result = await tasks('runSearch', { options: searchOf(rest), runs }, quiet);
    printResult(result, json, () => searchAsText(result));
  },
});

const query = command({
  command: 'query [texts..]',
  describe: 'search for texts: those given, else lines of standard input',
  builder: (yargs) =>
    yargs
      .positional('texts', { type: 'string', array: true, describe: 'what to search for' })
      .options({ ...searchOptions, k: { ...text('how many items'), alias: 'n', default: '10' } }),
  async handler({ json, quiet, texts, ...rest }) {
    const options = searchOf(rest);
    if (!texts?.length && process.stdin.isTTY) return converse(options, json, quiet);
    const asked = texts?.length ? texts.map(String) : await linesOfInput();
    const answers = await queries('answer', { options, texts: asked }, quiet);
    printResult(answers, json, () => answersAsText(answers));
  },
});

/** Answers line by line at a terminal, until it closes. */
async function converse(options: SearchOptions, json: boolean, quiet: boolean): Promise<void> {
  const { openAsking } = await import('../search/query.ts');
  const renderer = new ProgressRenderer(process.stderr, quiet);
  const asking = await openAsking(options, new Progress((event) => renderer.handle(event)));
  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: 'search> ' });
  try {
    lines.prompt();
    for await (const line of lines) {
      if (line.trim()) {
        const { dataset, method, items } = asking;
        const answers = { dataset, method, items, answers: await asking.ask([line]) };
        renderer.close();
        printResult(answers, json, () => answersAsText(answers));
      }
      lines.prompt();
    }
  } finally {
    lines.close();
    await asking.close();
  }
}

const searchOf = ({ method, k, ...rest }: SearchOptions): SearchOptions => ({
  ...configurationOf(rest),
  method,
  k,
});

async function linesOfInput(): Promise<string[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  const lines = Buffer.concat(chunks)
    .toString('utf8')
    .split(/\r?\n/)
    .filter((line) => line.trim());
  if (!lines.length) throw new UsageError('nothing to search for: give texts, or lines on standard input.');
  return lines;
}

/** `rec search run | query`. */
export const search: CommandModule = {
  command: 'search',
  describe: 'product search: BM25, dense and hybrid retrieval',
  builder: (yargs) => yargs.command(run).command(query).demandCommand(1, 'which action? run or query.'),
  handler: () => {},
};
