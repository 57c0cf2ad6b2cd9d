import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seeded } from '../common/random.ts';
import { type Bench, type BenchRow, mean, round, spread } from './bench.ts';
import { type Run, root, runOnce, sharedData } from './runs.ts';

const tasks = {
  scientific: { data: 'amazon2018-scientific', config: 'scientific-unisrec.yaml' },
  beauty: { data: 'amazon2014-beauty', config: 'beauty-text.yaml' },
} as const;
type Task = keyof typeof tasks;

const BLAIR_DIMS = 256;

/** UniSRec on texts alone, with vectors that say something of the texts and with vectors that say nothing. */
export const transfer: Bench = {
  name: 'transfer',
  describe: `UniSRec on blair-mini, lsa, random and shuffled vectors (options: tasks of [${Object.keys(tasks)}], epochs, seeds; e.g. scientific 15 1,2,3)`,
  async run([names = Object.keys(tasks).join(), epochs = '300', seeds = '1']) {
    const rows: BenchRow[] = [];
    for (const name of names.split(',')) {
      if (!(name in tasks))
        throw new Error(`unknown task '${name}'. Must be one of [${Object.keys(tasks).join(', ')}].`);
      const { data, config } = tasks[name as Task];
      const folder = await mkdtemp(join(tmpdir(), 'rec-transfer-'));
      try {
        const dataset = ['--dataset', sharedData(data)];
        const shuffled = await shuffledVectors(dataset, folder);
        const encoders = {
          'blair-mini': ['--encoder', 'blair-mini'],
          lsa: ['--encoder', 'lsa'],
          random: ['--encoder', 'random', '--set', `encoder.dims=${BLAIR_DIMS}`],
          'blair-mini, shuffled': ['--features', shuffled, '--set', `encoder.dims=${BLAIR_DIMS}`],
        };
        for (const [encoder, args] of Object.entries(encoders)) {
          const runs: Run[] = [];
          for (const seed of seeds.split(',')) {
            const settings = [
              '--config',
              `configs/tuned/${config}`,
              '--seed',
              seed,
              '--set',
              `train.epochs=${epochs}`,
            ];
            runs.push(await runOnce([...settings, ...dataset, ...args]));
          }
          rows.push(row(name, encoder, runs));
          console.error(rows.at(-1));
        }
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }
    const notes = [
      `at most ${epochs} epochs; seen items do not compete; shuffled: every item has another one's vector`,
    ];
    return [{ title: 'UniSRec, inductive (texts only), test, leave-one-out, all items ranked', rows, notes }];
  },
};

function row(task: string, encoder: string, runs: readonly Run[]): BenchRow {
  const of = (key: string) => runs.map(({ result }) => result.seen.filtered[key]);
  const unseen = runs.map(({ result }) => result.byPopularity.unseen.metrics['recall@10'] ?? Number.NaN);
  return {
    task,
    encoder,
    seeds: runs.length,
    'R@10': spread(of('recall@10')),
    'N@10': spread(of('ndcg@10')),
    'R@10 of items without training rows': round(mean(unseen), 4),
    'best epoch': round(mean(runs.map(({ result }) => result.epochs.best)), 1),
  };
}

/** blair-mini's vectors of a dataset, in another order of rows; the path of the file. */
async function shuffledVectors(dataset: readonly string[], folder: string): Promise<string> {
  const path = join(folder, 'vectors.feature');
  const encode = ['cli/rec.js', 'encode', ...dataset, '--encoder', 'blair-mini', '--out', path, '--quiet'];
  execFileSync(process.execPath, encode, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  const bytes = await readFile(path);
  const width = 4 * BLAIR_DIMS;
  const order = seeded('shuffled vectors').shuffle(
    Int32Array.from({ length: bytes.length / width }, (_, i) => i),
  );
  await writeFile(
    path,
    Buffer.concat([...order].map((from) => bytes.subarray(from * width, (from + 1) * width))),
  );
  return path;
}
