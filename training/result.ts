import { peakRssMb } from '../common/process.ts';
import { targetCounts } from '../data/counts.ts';
import type { Rows } from '../data/dataset.ts';
import { type Split, splitOf } from '../data/steps.ts';
import { byPopularity, type Metrics } from '../evaluation/metrics.ts';
import { rankAll } from '../evaluation/ranking.ts';
import { rankSparse } from '../evaluation/sparse.ts';
import type { Ranking } from '../evaluation/tally.ts';
import { type BaselineResult, evaluateBaselines } from './baseline.ts';
import type { TrainingState } from './checkpoint.ts';
import { type Experiment, reportedTopk } from './experiment.ts';
import type { TestRanks } from './ranks.ts';

/** What a run prints with --json and leaves as result.json. Metrics are fractions. */
export interface RunResult {
  model: string;
  dataset: string;
  /** Null for models of item ids. */
  encoder: string | null;
  seed: number;
  device: string;
  /** Type of the training loss; 'none' for a baseline. */
  loss: string;
  epochs: { run: number; best: number; stop: string };
  rows: { train: number; valid: number; test: number };
  items: number;
  valid: Metrics;
  test: Metrics;
  /** True for generated data. */
  synthetic: boolean;
  /** How test metrics came about: whether seen items competed, and how equal timestamps and equal scores were ordered. */
  protocol: { filterSeen: boolean; split: Split; timestampTies: string; scoreTies: string };
  /** Test metrics with seen items competing, and without. */
  seen: Ranking['seen'];
  /** Test metrics by how often the target occurs as a training target. */
  byPopularity: ReturnType<typeof byPopularity>;
  /** The yardsticks: the same figures of every registered baseline, by name. */
  baselines: Record<string, BaselineResult>;
  timing: { trainSecondsPerEpoch: number; evalRowsPerSecond: number; totalSeconds: number };
  peakRssMb: number;
  /** The run folder. */
  run: string;
}

interface Evaluated {
  metrics: Omit<RunResult, 'epochs' | 'timing' | 'peakRssMb' | 'run'>;
  ranks: TestRanks;
  rowsPerSecond: number;
}

/** Evaluates the experiment's present parameters, or counts, on valid and test rows. */
async function evaluateModel(experiment: Experiment): Promise<Evaluated> {
  const { run, dataset, progress } = experiment;
  const itemCounts = targetCounts(dataset.train, dataset.itemCount);
  const options = { ...run.eval, topk: reportedTopk(run), lists: false, itemCounts, progress };
  const started = performance.now();
  if (experiment.kind === 'trained') await experiment.scorer.refresh();
  const rank = async (rows: Rows, lists: boolean) =>
    experiment.kind === 'trained'
      ? rankAll(dataset, rows, experiment.scorer, { ...options, lists })
      : rankSparse(dataset, rows, experiment.counted, { ...options, lists });
  const valid = await rank(dataset.valid, false);
  const test = await rank(dataset.test, true);
  const seconds = (performance.now() - started) / 1000;
  const baselines = evaluateBaselines(dataset, options);
  const metrics: Evaluated['metrics'] = {
    model: run.model.entry.name,
    dataset: dataset.name,
    encoder: experiment.vectors?.name ?? null,
    seed: run.seed,
    device: deviceOf(experiment),
    loss: experiment.kind === 'trained' ? run.loss.type : 'none',
    rows: { train: size(dataset.train), valid: size(dataset.valid), test: size(dataset.test) },
    items: dataset.itemCount,
    valid: valid.metrics,
    test: { ...test.metrics, ...test.listMetrics },
    synthetic: dataset.synthetic,
    protocol: {
      filterSeen: run.eval.filterSeen,
      split: splitOf(dataset.manifest),
      timestampTies: dataset.manifest.ties,
      scoreTies: 'lower item id first',
    },
    seen: test.seen,
    byPopularity: byPopularity(test.ranks, dataset.test.target, itemCounts, options.topk),
    baselines: baselines.results,
  };
  return {
    metrics,
    ranks: {
      user: dataset.test.user,
      target: dataset.test.target,
      ...test.seenRanks,
      baselines: baselines.ranks,
      targetCount: dataset.test.target.map((item) => itemCounts[item]),
    },
    rowsPerSecond: round((size(dataset.valid) + size(dataset.test)) / seconds),
  };
}

/** Counts are taken by plain code, whatever device the settings name. */
export const deviceOf = (experiment: Experiment): string =>
  experiment.kind === 'trained' ? experiment.device.name : 'cpu';

const size = (rows: Rows) => rows.target.length;
const round = (x: number) => Number(x.toPrecision(4));

/** How a run's training went. */
export type Course = Pick<RunResult, 'epochs'> & { trainSecondsPerEpoch: number };

export const withoutEpochs = (stop: string): Course => ({
  epochs: { run: 0, best: 0, stop },
  trainSecondsPerEpoch: 0,
});

export function courseOf({ records, best, stop }: TrainingState): Course {
  const times = records.map((r) => r.trainSeconds).sort((a, b) => a - b);
  return {
    epochs: { run: records.length, best: best.epoch, stop: stop ?? 'not trained to the end' },
    trainSecondsPerEpoch: round(times[times.length >> 1] ?? 0),
  };
}

/** The whole result of a finished run, and where each test row's target came. */
export async function runResult(
  experiment: Experiment,
  { epochs, trainSecondsPerEpoch }: Course,
  started: number,
  run: string,
): Promise<{ result: RunResult; ranks: TestRanks }> {
  const { metrics, ranks, rowsPerSecond } = await evaluateModel(experiment);
  const { model, dataset, encoder, seed, device, loss, ...rest } = metrics;
  const result = {
    model,
    dataset,
    encoder,
    seed,
    device,
    loss,
    epochs,
    ...rest,
    timing: {
      trainSecondsPerEpoch,
      evalRowsPerSecond: rowsPerSecond,
      totalSeconds: round((performance.now() - started) / 1000),
    },
    peakRssMb: peakRssMb(),
    run,
  };
  return { result, ranks };
}
