import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Progress } from '../../common/progress.ts';
import { seeded } from '../../common/random.ts';
import { lossSettings, trainSettings } from '../../configs/train-settings.ts';
import type { Dataset } from '../../data/dataset.ts';
import { cpuDevice, type Device, type Stepper } from '../../engine/index.ts';
import type { Metrics } from '../../evaluation/metrics.ts';
import type { EpochRecord } from '../../training/checkpoint.ts';
import type { TrainingStep } from '../../training/step.ts';
import { Trainer } from '../../training/trainer.ts';
import { randomRows } from '../data/rows-support.ts';
import { type Built, batchesOf, build, ITEMS, textFor, type Variant, variants } from '../models/support.ts';

/** Users with histories of random items, as a prepared dataset: train, valid and test rows alike. */
export function randomDataset(lengths: readonly number[]): Dataset {
  const { pool, rows } = randomRows(lengths, 1, ITEMS);
  return {
    name: 'random',
    synthetic: true,
    itemCount: ITEMS,
    userCount: lengths.length,
    itemIds: Array.from({ length: ITEMS }, (_, i) => `i${i}`),
    pool,
    train: rows,
    valid: rows,
    test: rows,
    manifest: {
      name: 'random',
      synthetic: true,
      layout: 'none',
      hash: '',
      sources: [],
      settings: {},
      steps: [],
      bad: [],
      ties: 'file order',
      counts: { users: 0, items: 0, interactions: 0, train: 0, valid: 0, test: 0 },
    },
  };
}

/** Takes steps on a few batches in turn; their losses. */
export async function takeSteps(step: TrainingStep, optimizer: Stepper, count: number): Promise<number[]> {
  const batches = batchesOf([5, 9, 3, 4], { mode: 'grouped', batchSize: 40 });
  const losses: number[] = [];
  for (let i = 1; i <= count; i++) {
    const { loss, rows } = await step.run(batches[i % batches.length], { seed: 1, step: i });
    await optimizer.step(rows);
    losses.push(loss);
  }
  return losses;
}

export function variantNamed(name: string): Variant {
  const found = variants().find((variant) => variant.name === name);
  if (!found) throw new Error(`no variant is named '${name}'`);
  return found;
}

interface Given {
  variant?: Variant;
  /** Values of `train.*`. */
  settings?: Record<string, unknown>;
  /** Values of `loss.*`. */
  loss?: Record<string, unknown>;
  lengths?: readonly number[];
  seed?: number;
  threads?: number;
  device?: Device;
}

/** A trainer of a small model on random rows. */
export function trainerOf({
  variant = variantNamed('gru4rec'),
  settings = {},
  loss = {},
  lengths = [5, 9, 3, 4],
  seed = 1,
  threads = 1,
  device = cpuDevice({ threads }),
}: Given = {}): { trainer: Trainer; built: Built; dataset: Dataset } {
  const parsed = trainSettings.parse({ batchSize: 8, maxHistory: 12, ...settings });
  const built = build(variant, { seed, maxHistory: parsed.maxHistory });
  const dataset = randomDataset(lengths);
  const trainer = new Trainer({
    ...built,
    dataset,
    text: textFor(variant),
    settings: parsed,
    loss: lossSettings.parse(loss),
    seed,
    device,
    progress: new Progress(),
  });
  return { trainer, built, dataset };
}

export interface Outcome {
  records: EpochRecord[];
  /** Whether each epoch was the best so far. */
  improved: boolean[];
  /** The learning rate of every step, read before the step. */
  rates: number[];
}

/** Runs a trainer; the validation of epoch e gives `score(e)` as ndcg@10. */
export async function runWith(trainer: Trainer, score: (epoch: number) => number): Promise<Outcome> {
  const outcome: Outcome = { records: [], improved: [], rates: [trainer.optimizer.learningRate] };
  await trainer.run({
    async validate(): Promise<Metrics> {
      outcome.rates.push(trainer.optimizer.learningRate);
      return { 'ndcg@10': score(trainer.state.epoch), 'recall@10': 1 - score(trainer.state.epoch) };
    },
    async onEpoch(record, improved) {
      outcome.records.push(record);
      outcome.improved.push(improved);
    },
    async onCheckpoint(state) {
      if (state.batch) outcome.rates.push(trainer.optimizer.learningRate);
    },
  });
  outcome.rates.pop();
  await trainer.close();
  return outcome;
}

/**
 * Writes a small dataset of atomic files (.inter, .item): users go around rings of items, whose titles name the ring,
 * with a slip now and then.
 */
export function writeDataset(folder: string, { users = 100, items = 30, seed = 1 } = {}): string {
  const random = seeded('dataset', seed);
  const rings = 3;
  const inter = ['user_id:token\titem_id:token\ttimestamp:float'];
  for (let user = 0; user < users; user++) {
    let item = random.below(items);
    const length = 4 + random.below(12);
    for (let time = 0; time < length; time++) {
      inter.push(`u${user}\ti${item}\t${1000 * user + time}`);
      item = random.uniform() < 0.9 ? (item + rings) % items : random.below(items);
    }
  }
  const words = ['tea pot', 'oak chair', 'wool hat'];
  const item = Array.from({ length: items }, (_, i) => `i${i}\t${words[i % rings]} number ${i} of ${i % 7}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'rings.inter'), `${inter.join('\n')}\n`);
  writeFileSync(join(folder, 'rings.item'), `${['item_id:token\ttitle:token_seq', ...item].join('\n')}\n`);
  return folder;
}
