import type { CommandModule } from 'yargs';
import { UsageError } from '../common/errors.ts';
import type { SearchOptions } from '../configs/search.ts';
import type { answer } from '../search/query.ts';
import type { SearchResult } from '../search/run.ts';
import { job } from './job.ts';
import {
  configOptions,
  configurationOf,
  deviceOptions,
  encoderOptions,
  outputOptions,
  text,
} from './options.ts';
import { printResult } from './output.ts';
import { answersAsText, searchAsText } from './search-result.ts';

interface Arguments extends SearchOptions {
  json: boolean;
  quiet: boolean;
}

const searchOptions = {
  method: text('bm25, dense or hybrid [default: bm25]'),
  ...encoderOptions,
  ...configOptions,
  ...deviceOptions,
  ...outputOptions,
};

const run: CommandModule<object, Arguments & { runs: string }> = {
  command: 'run',
  describe: 'search a task: all of its queries, metrics, TREC files',
  builder: (yargs) =>
    yargs.options({
      ...searchOptions,
      k: text('list lengths, as in 10,100 (the same as --set search.topk=...)'),
      runs: { ...text('folder that result folders are made in'), default: 'runs' },
    }) as never,
  async handler({ json, quiet, runs, ...rest }) {
    const module = new URL('../search/run.ts', import.meta.url);
    const result = (await job(module, 'runSearch', { options: searchOf(rest), runs }, quiet)) as SearchResult;
    printResult(result, json, () => searchAsText(result));
  },
};

const query: CommandModule<object, Arguments & { texts?: string[] }> = {
  command: 'query [texts..]',
  describe: 'search for texts: those given, else one a line of standard input',
  builder: (yargs) =>
    yargs
      .positional('texts', { type: 'string', array: true, describe: 'what to search for' })
      .options({ ...searchOptions, k: { ...text('how many items'), alias: 'n', default: '10' } }) as never,
  async handler({ json, quiet, texts, ...rest }) {
    const asked = texts?.length ? texts.map(String) : await linesOfInput();
    const module = new URL('../search/query.ts', import.meta.url);
    const options = { options: searchOf(rest), texts: asked };
    const result = (await job(module, 'answer', options, quiet)) as Awaited<ReturnType<typeof answer>>;
    printResult(result, json, () => answersAsText(result));
  },
};

const searchOf = ({ method, k, ...rest }: SearchOptions): SearchOptions => ({
  ...configurationOf(rest),
  method,
  k,
});

async function linesOfInput(): Promise<string[]> {
  if (process.stdin.isTTY)
    throw new UsageError('what to search for? Give texts, or lines on standard input.');
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks)
    .toString('utf8')
    .split(/\r?\n/)
    .filter((line) => line.trim());
}

/** `rec search run | query`. */
export const search: CommandModule = {
  command: 'search',
  describe: 'product search: BM25, dense and hybrid retrieval',
  builder: (yargs) => yargs.command(run).command(query).demandCommand(1, 'which action? run or query.'),
  handler: () => {},
};
