import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Progress } from '../common/progress.ts';
import { forEachPair } from '../data/pairs/index.ts';
import { saveEncoder, startFromScratch } from '../encoders/pretraining/source.ts';
import { builtInCheckpoint, readRobertaConfig } from '../encoders/roberta-files.ts';
import { loadTokenizer } from '../encoders/tokenizer.ts';
import type { SearchResult } from '../search/run.ts';
import type { Bench, BenchRow } from './bench.ts';
import { round } from './bench.ts';
import { root, sharedData } from './runs.ts';

/** The folders that blair-mini's pairs were built from, and how. */
const sources = ['amazon2023-all-beauty-5core', 'amazon2023-multicategory', 'amazon2018-magazine-raw'];
const pairSettings = ['pairs.clean=true', 'pairs.valid=0.1', 'pairs.test=0.1'];

const rec = (args: string[]) =>
  execFileSync(process.execPath, ['cli/rec.js', ...args, '--json', '--quiet'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
  });

/** Held-out reviews that search for their items: what blair-mini learned, beside what it did not need to learn for. */
export const blair: Bench = {
  name: 'blair',
  describe:
    'blair-mini on held-out (review, item) pairs beside masked language modelling alone, random weights, lsa and BM25 (option: the run folder of `rec pretrain blair-mini-mlm`, which is trained where it is left out)',
  async run([mlmRun]) {
    const folder = await mkdtemp(join(tmpdir(), 'rec-blair-'));
    try {
      const pairs = join(folder, 'pairs.tsv.gz');
      rec(['data', 'pairs', ...sources.map(sharedData), '--out', pairs, '--set', ...pairSettings]);
      const task = join(folder, 'held-out');
      const counts = await writeTask(pairs, task);
      const mlm =
        mlmRun ?? JSON.parse(rec(['pretrain', 'blair-mini-mlm', '--pairs', pairs, '--runs', folder])).run;
      const own = (model: string) => ['--encoder', `roberta:${model}`, '--set', 'encoder.pooling=mean'];
      const searches: [string, string[]][] = [
        ['random weights', own(await randomWeights(join(folder, 'random')))],
        ['masked language modelling', own(join(resolve(root, mlm), 'encoder'))],
        ['blair-mini', ['--encoder', 'blair-mini']],
        ['lsa', ['--encoder', 'lsa']],
        ['BM25', []],
        ['BM25 and blair-mini', ['--encoder', 'blair-mini']],
      ];
      const rows = searches.map(([name, args]): BenchRow => {
        const method = name === 'BM25' ? 'bm25' : name.startsWith('BM25') ? 'hybrid' : 'dense';
        const result = JSON.parse(
          rec([
            'search',
            'run',
            '--dataset',
            task,
            '--method',
            method,
            ...args,
            '--runs',
            folder,
            '--k',
            '10,100',
          ]),
        ) as SearchResult;
        return { encoder: name, ...figures(result) };
      });
      return [
        {
          title: 'Reviews of held-out users as queries for their items, by cosine',
          rows,
          notes: [
            `${counts.queries} queries, ${counts.items} items; no user of a query was trained on, but items were`,
          ],
        },
      ];
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

function figures({ overQueries }: SearchResult): BenchRow {
  return Object.fromEntries(
    ['ndcg@100', 'mrr@100', 'recall@10', 'recall@100'].map((name) => [name, round(overQueries[name], 4)]),
  );
}

/** The test pairs in the layout of Amazon-C4: a review each query, all items of the file the pool. */
async function writeTask(pairs: string, folder: string): Promise<{ queries: number; items: number }> {
  const queries = ['qid,query,item_id'];
  const pool = new Map<string, string>();
  await forEachPair(pairs, new Progress(), ({ split, domain, item, review, metadata }) => {
    pool.set(item, JSON.stringify({ item_id: item, category: domain, metadata }));
    if (split === 'test') queries.push(`q${queries.length},"${review.replaceAll('"', '""')}",${item}`);
  });
  await mkdir(folder);
  await writeFile(join(folder, 'test.csv'), `${queries.join('\n')}\n`);
  await writeFile(join(folder, 'pool.jsonl'), `${[...pool.values()].join('\n')}\n`);
  return { queries: queries.length - 1, items: pool.size };
}

/** A checkpoint of blair-mini's shape that nobody trained. */
async function randomWeights(folder: string): Promise<string> {
  const trained = builtInCheckpoint('rec/blair-mini');
  if (!trained || !existsSync(trained)) throw new Error('blair-mini is not where the project keeps it');
  await cp(trained, folder, { recursive: true });
  const config = await readRobertaConfig(folder);
  const heads = { pooling: 'mean', pooler: 'none', lm: false } as const;
  const { parameters } = startFromScratch(config, await loadTokenizer(folder), heads, 1);
  await saveEncoder(folder, parameters, 'f32');
  return folder;
}
