import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seeded } from '../../common/random.ts';
import { byPopularity, rankMetrics } from '../../evaluation/metrics.ts';
import { writeRanks } from '../../training/ranks.ts';
import type { RunResult } from '../../training/result.ts';

export const ROWS = 240;
/** Four rows a user. */
export const USERS = ROWS / 4;
const TOPK = [10, 50];

export interface Described {
  model: string;
  encoder?: string;
  seed?: number;
  dataset?: string;
  /** Another number makes other test rows. */
  rows?: number;
  /** How good: the mean rank is about this. */
  level: number;
  /** Settings beside those that all have, dotted. */
  settings?: Record<string, unknown>;
  filterSeen?: boolean;
}

/** Ranks that depend on what is described, and on the row: systems agree about which rows are hard. */
export function ranksOf({ model, encoder = '', seed = 1, dataset = 'shop', level }: Described): {
  kept: Int32Array;
  filtered: Int32Array;
} {
  const hard = seeded('row', dataset);
  const own = seeded(model, encoder, seed, dataset);
  const kept = Int32Array.from({ length: ROWS }, () =>
    Math.floor(level * 2 * (hard.uniform() + own.uniform()) ** 2),
  );
  return { kept, filtered: kept.map((rank) => Math.floor(rank * 0.8)) };
}

const user = Int32Array.from({ length: ROWS }, (_, row) => Math.floor(row / 4));
export const targetCount = Int32Array.from({ length: ROWS }, (_, row) => [0, 3, 12, 40][row % 4]);
const yardstick = { model: 'popularity', level: 60 };

/** Writes a run folder as a run leaves it. */
export async function writeRun(folder: string, run: Described): Promise<string> {
  const { model, encoder, seed = 1, dataset = 'shop', rows = 1, filterSeen = false } = run;
  mkdirSync(folder, { recursive: true });
  const figures = (ranks: { kept: Int32Array; filtered: Int32Array }) => {
    const ruled = filterSeen ? ranks.filtered : ranks.kept;
    return {
      test: rankMetrics(ruled, TOPK),
      seen: { kept: rankMetrics(ranks.kept, TOPK), filtered: rankMetrics(ranks.filtered, TOPK) },
      byPopularity: byPopularity(ruled, Int32Array.from(ruled.keys()), targetCount, TOPK),
    };
  };
  const ranks = ranksOf(run);
  const popularity = ranksOf({ ...yardstick, dataset });
  const result: Partial<RunResult> = {
    model,
    dataset,
    encoder: encoder ?? null,
    seed,
    epochs: { run: 2, best: 2, stop: 'all 2 epochs' },
    rows: { train: 900, valid: ROWS, test: ROWS },
    items: 50,
    valid: {},
    ...figures(ranks),
    synthetic: false,
    protocol: {
      filterSeen,
      split: 'leave-last-out',
      timestampTies: 'file order',
      scoreTies: 'lower item id first',
    },
    baselines: { popularity: figures(popularity) },
    timing: { trainSecondsPerEpoch: 1 + seed, evalRowsPerSecond: 1000, totalSeconds: 60 * seed },
    peakRssMb: 500 + seed,
  };
  const settings = {
    'run.model': model,
    'train.metric': 'ndcg@10',
    'model.layers': 2,
    seed,
    threads: seed,
    ...run.settings,
  };
  const json = (name: string, value: unknown) => writeFileSync(join(folder, name), JSON.stringify(value));
  json('result.json', result);
  json('dataset.json', { hash: `${dataset} ${rows}` });
  writeFileSync(
    join(folder, 'config.yaml'),
    Object.entries(settings)
      .map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`)
      .join(''),
  );
  const epochs = [1, 2].map((epoch) => ({
    epoch,
    loss: 5 / epoch,
    valid: { 'ndcg@10': 0.1 * epoch },
    trainSeconds: 2,
    evalSeconds: 1,
    learningRate: 0.001,
  }));
  writeFileSync(join(folder, 'metrics.jsonl'), epochs.map((epoch) => `${JSON.stringify(epoch)}\n`).join(''));
  await writeRanks(join(folder, 'ranks.safetensors'), {
    user,
    target: user.map((u, row) => (u * rows + row) % 97),
    targetCount,
    ...ranks,
    baselines: { popularity },
  });
  return folder;
}
