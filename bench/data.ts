import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Bench, type BenchRow, round, watched } from './bench.ts';
import { writeRawReviews } from './reviews.ts';
import { root } from './runs.ts';

interface Outcome {
  seconds: number;
  tasks: Record<string, number>;
  cpuMs: number;
  peakMb: number;
  heapMb: number;
  counts: { interactions: number; users: number; items: number };
  texts: number;
}

const child = fileURLToPath(new URL('./data-child.ts', import.meta.url));

/** Reviews an item, as in the smaller of the two sizes that are measured. */
const REVIEWS_AN_ITEM = 10;

/** Raw reviews to CSR arrays and texts: time, memory and disk, by size. Options: millions of reviews, GB for tables. */
export const data: Bench = {
  name: 'data',
  describe: 'prepares generated raw reviews (Amazon Reviews 2023 format, .jsonl.gz), with their metadata',
  async run([sizes = '2,10', memory = '1']) {
    const rows: BenchRow[] = [];
    for (const millions of sizes.split(',').map(Number)) {
      const folder = await mkdtemp(join(tmpdir(), 'rec-bench-data-'));
      try {
        const reviews = millions * 1e6;
        await writeRawReviews(join(folder, 'raw'), reviews, Math.round(reviews / REVIEWS_AN_ITEM));
        rows.push(await measure(folder, reviews, memory));
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }
    return [
      {
        title: 'rec data prepare, raw to CSR arrays and texts',
        rows,
        notes: [
          `data.memoryGB=${memory}; peak MB is of the whole process; spilled is the most that lay in data.tempFolder at a time`,
          '"others" is the share of the cores that other processes used meanwhile: seconds are the machine\'s own only where it is near 0, CPU seconds more nearly so',
        ],
      },
    ];
  },
};

async function measure(folder: string, reviews: number, memory: string): Promise<BenchRow> {
  const [raw, spill] = [join(folder, 'raw'), join(folder, 'spill')];
  let spilled = 0;
  const watch = setInterval(async () => {
    spilled = Math.max(spilled, await sizeOf(spill));
  }, 100);
  const { result, others } = await watched(async () => {
    const env = { ...process.env, REC_CACHE: join(folder, 'cache') };
    const run = promisify(execFile)(process.execPath, ['--import', 'tsx', child, raw, spill, memory], {
      cwd: root,
      env,
    });
    return JSON.parse((await run).stdout) as Outcome;
  }).finally(() => clearInterval(watch));
  const { seconds, tasks, cpuMs, peakMb, heapMb, counts, texts } = result;
  return {
    reviews,
    items: texts,
    'raw MB': round((await sizeOf(raw)) / 1e6, 0),
    seconds: round(seconds, 1),
    ...Object.fromEntries(Object.entries(tasks).map(([task, s]) => [task, round(s, 1)])),
    'CPU seconds': round(cpuMs / 1000, 1),
    'reviews/s': Math.round(reviews / seconds),
    'peak MB': round(peakMb, 0),
    'JS heap MB': round(heapMb, 0),
    'spilled MB': round(spilled / 1e6, 0),
    'prepared MB': round((await sizeOf(join(folder, 'cache'))) / 1e6, 0),
    interactions: counts.interactions,
    others: round(others, 2),
  };
}

/** Bytes of all files under a folder. */
async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries)
    if (entry.isFile())
      bytes += await stat(join(entry.parentPath ?? entry.path, entry.name)).then(
        ({ size }) => size,
        () => 0,
      );
  return bytes;
}
