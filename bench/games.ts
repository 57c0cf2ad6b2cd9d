import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Bench, type BenchRow, round } from './bench.ts';
import { productLimits } from './limits.ts';
import { findTorch } from './peers/torch.ts';
import { root } from './runs.ts';

interface Job {
  name: string;
  model: string;
  set: string[];
  /** Steps that are timed; 0 for a whole epoch. */
  steps: number;
  /** RecBole's seconds an epoch and peak GB, extrapolated from timed steps, on another machine with two cores. */
  recbole?: { seconds: number; rssGb: number };
  /** Seconds an epoch that were aimed at. */
  aim: number;
  d: number;
  /** Whether the texts of all items go through the adaptor at every step. */
  tower: boolean;
}

const jobs: Job[] = [
  {
    name: 'SASRec, full softmax',
    model: 'sasrec',
    set: [],
    steps: 100,
    recbole: { seconds: 803, rssGb: 10.7 },
    aim: 100,
    d: 64,
    tower: false,
  },
  {
    name: 'UniSRec, full softmax, all experts',
    model: 'unisrec',
    set: [],
    steps: 12,
    recbole: { seconds: 21_450, rssGb: 16.2 },
    aim: 2100,
    d: 300,
    tower: true,
  },
  {
    name: 'SASRec, sampled',
    model: 'sasrec',
    set: ['loss.type=sampled'],
    steps: 0,
    aim: 12,
    d: 64,
    tower: false,
  },
  {
    name: 'UniSRec, sampled',
    model: 'unisrec',
    set: ['loss.type=sampled'],
    steps: 0,
    aim: 60,
    d: 300,
    tower: false,
  },
];

/** What games-child.ts prints. */
interface Timed {
  items: number;
  rows: number;
  textDims: number;
  steps: number;
  secondsPerEpoch: number;
  rssGb: number;
}

const BATCH = 2048;
const EXPERTS = 8;

/** Training on data of the size of Amazon Reviews 2023 Games, batch 2048; long epochs from some of their steps. */
export const games: Bench = {
  name: 'games',
  describe: `training at the size of Amazon Reviews 2023 Games beside RecBole (options: words that the row's name has; e.g. sampled)`,
  async run(words) {
    const threads = availableParallelism();
    const limits = await productLimits(threads, findTorch());
    const rows: BenchRow[] = [];
    for (const job of jobs.filter(({ name }) => words.every((word) => name.includes(word)))) {
      const child = fileURLToPath(new URL('./games-child.ts', import.meta.url));
      const output = execFileSync(
        process.execPath,
        ['--import', 'tsx', child, String(job.steps), job.model, ...job.set],
        { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
      );
      rows.push(describe(job, JSON.parse(output.trim().split('\n').at(-1)!) as Timed, limits.best));
      console.error(rows.at(-1));
    }
    return [
      {
        title: `games-size, seconds an epoch of training, batch ${BATCH}, ${threads} threads`,
        rows,
        notes: [
          `limit: operations of the loss and the item tower, forward and backward, at ${round(limits.best, 0)} GFLOP/s, the best matrix product here`,
          "RecBole's figures are extrapolated from timed steps on another machine with two cores (PyTorch 1.13)",
        ],
      },
      limits.table,
    ];
  },
};

function describe(job: Job, timed: Timed, gflops: number): BenchRow {
  const limit = job.set.length ? undefined : epochOperations(job, timed) / gflops / 1e9;
  const seconds = timed.secondsPerEpoch;
  return {
    run: job.name,
    's/epoch': round(seconds, 1),
    'aimed at': job.aim,
    'steps timed': timed.steps,
    'RecBole s/epoch': job.recbole?.seconds ?? '-',
    'times faster': job.recbole ? round(job.recbole.seconds / seconds, 1) : '-',
    'limit s': limit ? round(limit, 0) : '-',
    'times the limit': limit ? round(seconds / limit, 2) : '-',
    'peak GB': round(timed.rssGb, 2),
    'RecBole GB': job.recbole?.rssGb ?? '-',
  };
}

/**
 * Floating-point operations of an epoch's largest products: the loss's three, rows x items x d each, and at every step the
 * adaptor's two (forward, and the gradient of its weights), items x text x experts x d each.
 */
function epochOperations({ d, tower }: Job, { rows, items, textDims }: Timed): number {
  const loss = 3 * 2 * rows * items * d;
  const steps = Math.ceil(rows / BATCH);
  return loss + (tower ? steps * 2 * 2 * items * textDims * EXPERTS * d : 0);
}
