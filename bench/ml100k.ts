import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RunResult } from '../training/index.ts';
import type { Bench, BenchRow } from './bench.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const data = join(root, '../shared/data/ml100k-r5h5');

/** RecBole on the same rows and vectors, batch 512, two threads, one seed: seconds an epoch, test metrics, peak memory. */
const recbole: Record<
  string,
  { seconds: number; valid: number; test: number; recall: number; rssGb: number }
> = {
  gru4rec: { seconds: 2.24, valid: 0.0642, test: 0.0424, recall: 0.091, rssGb: 0.4 },
  sasrec: { seconds: 4.48, valid: 0.0743, test: 0.0562, recall: 0.1182, rssGb: 0.5 },
  'sasrec-text': { seconds: 8.68, valid: 0.0731, test: 0.053, recall: 0.1119, rssGb: 0.5 },
  unisrec: { seconds: 40.3, valid: 0.0646, test: 0.0467, recall: 0.1124, rssGb: 1.1 },
};

/** Whole runs of every model at RecBole's settings, to the early stop; a mean over seeds. */
export const ml100k: Bench = {
  name: 'ml100k',
  describe:
    'full runs on ml100k-r5h5 at batch 512 beside RecBole (options: seeds, models; e.g. 1,2,3 sasrec,unisrec)',
  async run([seeds = '1,2,3', models = Object.keys(recbole).join()]) {
    if (!existsSync(data)) throw new Error(`${data} is not there: this bench needs the shared data`);
    const rows: BenchRow[] = [];
    for (const model of models.split(',')) {
      const results: RunResult[] = [];
      for (const seed of seeds.split(',')) results.push(await oneRun(model, seed));
      rows.push(compare(model, results));
      console.error(rows.at(-1));
    }
    return rows;
  },
};

async function oneRun(model: string, seed: string): Promise<RunResult> {
  const runs = await mkdtemp(join(tmpdir(), 'rec-bench-'));
  const encoder = model === 'gru4rec' || model === 'sasrec' ? [] : ['--encoder', 'file'];
  const args = [
    'cli/rec.js',
    'run',
    '--model',
    model,
    '--dataset',
    data,
    ...encoder,
    '--seed',
    seed,
    '--runs',
    runs,
  ];
  try {
    const output = execFileSync(
      process.execPath,
      [...args, '--set', 'train.batchSize=512', '--json', '--quiet'],
      {
        cwd: root,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    return JSON.parse(output) as RunResult;
  } finally {
    await rm(runs, { recursive: true, force: true });
  }
}

function compare(model: string, results: RunResult[]): BenchRow {
  const peer = recbole[model];
  const mean = (pick: (r: RunResult) => number) =>
    results.reduce((sum, r) => sum + pick(r), 0) / results.length;
  const seconds = mean((r) => r.timing.trainSecondsPerEpoch);
  const round = (x: number, digits: number) => Number(x.toFixed(digits));
  return {
    model,
    seeds: results.length,
    's/epoch': round(seconds, 3),
    'RecBole s/epoch': peer.seconds,
    'times faster': round(peer.seconds / seconds, 1),
    'valid N@10': round(
      mean((r) => r.valid['ndcg@10']),
      4,
    ),
    'RecBole valid': peer.valid,
    'test N@10': round(
      mean((r) => r.test['ndcg@10']),
      4,
    ),
    'RecBole test': peer.test,
    'test R@10': round(
      mean((r) => r.test['recall@10']),
      4,
    ),
    'RecBole R@10': peer.recall,
    'best epoch': round(
      mean((r) => r.epochs.best),
      1,
    ),
    'rss MB': Math.round(Math.max(...results.map((r) => r.peakRssMb))),
    'RecBole rss MB': peer.rssGb * 1000,
  };
}
