import type { Dataset, Rows } from '../data/dataset.ts';
import { byPopularity, type Metrics } from '../evaluation/metrics.ts';
import {
  popularityScorer,
  type Ranking,
  type RankingOptions,
  rankAll,
  targetCounts,
} from '../evaluation/ranking.ts';
import type { TrainingState } from './checkpoint.ts';
import { type Experiment, reportedTopk } from './experiment.ts';

/** What a run prints with --json and leaves as result.json. Metrics are fractions. */
export interface RunResult {
  model: string;
  dataset: string;
  /** Null for models of item ids. */
  encoder: string | null;
  seed: number;
  device: string;
  /** Type of the training loss. */
  loss: string;
  epochs: { run: number; best: number; stop: string };
  rows: { train: number; valid: number; test: number };
  items: number;
  valid: Metrics;
  test: Metrics;
  /** True for generated data. */
  synthetic: boolean;
  /** How test metrics came about: whether seen items competed, and how equal timestamps and equal scores were ordered. */
  protocol: { filterSeen: boolean; split: string; timestampTies: string; scoreTies: string };
  /** Test metrics with seen items competing, and without. */
  seen: Ranking['seen'];
  /** Test metrics by how often the target occurs as a training target. */
  byPopularity: ReturnType<typeof byPopularity>;
  /** Test metrics of recommending the most popular items to everyone. */
  popularity: Metrics;
  timing: { trainSecondsPerEpoch: number; evalRowsPerSecond: number; totalSeconds: number };
  peakRssMb: number;
  /** The run folder. */
  run: string;
}

/** Evaluates the experiment's present parameters on valid and test rows. */
export async function evaluateModel(
  experiment: Experiment,
): Promise<Omit<RunResult, 'epochs' | 'timing' | 'peakRssMb' | 'run'> & { evalRowsPerSecond: number }> {
  const { run, dataset, device, scorer } = experiment;
  const { progress } = experiment;
  const counts = targetCounts(dataset.train.target, dataset.itemCount);
  const options: RankingOptions = {
    ...run.eval,
    topk: reportedTopk(run),
    lists: false,
    itemCounts: counts,
    progress,
  };
  const started = performance.now();
  await scorer.refresh();
  const valid = await rankAll(dataset, dataset.valid, scorer, options);
  const test = await rankAll(dataset, dataset.test, scorer, { ...options, lists: true });
  const seconds = (performance.now() - started) / 1000;
  const popularity = await rankAll(dataset, dataset.test, popularityScorer(counts), options);
  return {
    model: run.model.entry.name,
    dataset: dataset.name,
    encoder: experiment.vectors?.name ?? null,
    seed: run.seed,
    device: device.name,
    loss: run.loss.type,
    rows: { train: size(dataset.train), valid: size(dataset.valid), test: size(dataset.test) },
    items: dataset.itemCount,
    valid: valid.metrics,
    test: { ...test.metrics, ...test.listMetrics },
    synthetic: dataset.synthetic,
    protocol: {
      filterSeen: run.eval.filterSeen,
      split: splitName(dataset),
      timestampTies: dataset.manifest.ties,
      scoreTies: 'lower item id first',
    },
    seen: test.seen,
    byPopularity: byPopularity(test.ranks, dataset.test.target, counts, options.topk),
    popularity: popularity.metrics,
    evalRowsPerSecond: round((size(dataset.valid) + size(dataset.test)) / seconds),
  };
}

const size = (rows: Rows) => rows.target.length;
const round = (x: number) => Number(x.toPrecision(4));
/** The split's name: 'leave-last-out', 'timestamp', or 'files' where the source came split. */
const splitName = ({ manifest }: Dataset): string =>
  manifest.steps.find(({ rule }) => rule.startsWith('split '))?.rule.slice('split '.length) ?? 'files';

/** The whole result of a finished run. */
export async function runResult(
  experiment: Experiment,
  state: TrainingState,
  started: number,
  run: string,
): Promise<RunResult> {
  const { evalRowsPerSecond, ...evaluated } = await evaluateModel(experiment);
  const times = state.records.map((r) => r.trainSeconds).sort((a, b) => a - b);
  const { model, dataset, encoder, seed, device, loss, ...rest } = evaluated;
  return {
    model,
    dataset,
    encoder,
    seed,
    device,
    loss,
    epochs: {
      run: state.records.length,
      best: state.best.epoch,
      stop: state.stop ?? 'not trained to the end',
    },
    ...rest,
    timing: {
      trainSecondsPerEpoch: round(times[times.length >> 1] ?? 0),
      evalRowsPerSecond,
      totalSeconds: round((performance.now() - started) / 1000),
    },
    peakRssMb: Math.round(process.resourceUsage().maxRSS / 1024),
    run,
  };
}
