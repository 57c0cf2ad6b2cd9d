import { byPopularity, type Metrics, rankMetrics } from '../evaluation/metrics.ts';
import type { TestRanks } from '../training/ranks.ts';
import type { Cost, Curve, Figure, Rule, SystemResult } from './report.ts';
import type { FinishedRun } from './runs.ts';

/** The rule that the runs' own test metrics follow; where they differ, the paper's: seen items compete. */
export function commonRule(runs: readonly FinishedRun[]): Rule {
  return runs.every(({ result }) => result.protocol.filterSeen) ? 'filtered' : 'kept';
}

/** Recall and NDCG at every k that all runs report. */
export function commonMetrics(runs: readonly FinishedRun[]): string[] {
  const [first, ...others] = runs.map(({ result }) => Object.keys(result.test));
  const common = first.filter((name) => others.every((names) => names.includes(name)));
  const lengths = common.flatMap((name) => (name.startsWith('recall@') ? [name.split('@')[1]] : []));
  // Lists of other lengths follow from ranks.
  return (lengths.length ? lengths : ['10']).flatMap((k) => [`recall@${k}`, `ndcg@${k}`]);
}

/** The counted baselines that come with every run, by name, as if they were runs. */
export function yardsticksOf({ ranks }: FinishedRun): [name: string, TestRanks][] {
  return Object.entries(ranks.baselines).map(([name, columns]) => [name, { ...ranks, ...columns }]);
}

/** The figures of one system on one dataset, its seeds together. */
export function figuresOf(
  seeds: readonly TestRanks[],
  metrics: readonly string[],
  seen: Rule,
): Pick<SystemResult, 'metrics' | 'buckets'> {
  const topk = [...new Set(metrics.map((metric) => Number(metric.split('@')[1])))];
  const all = seeds.map((ranks) => rankMetrics(ranks[seen], topk));
  return {
    metrics: Object.fromEntries(metrics.map((metric) => [metric, figure(all.map((one) => one[metric]))])),
    buckets: meanBuckets(
      seeds.map(({ targetCount, ...ranks }) =>
        byPopularity(ranks[seen], Int32Array.from(targetCount.keys()), targetCount, topk),
      ),
    ),
  };
}

function figure(values: number[]): Figure {
  const mean = average(values);
  const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return {
    mean,
    sd: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : undefined,
    values,
    best: false,
  };
}

/** Seeds have the same test rows, so the same rows in every bucket. */
function meanBuckets(all: readonly SystemResult['buckets'][]): SystemResult['buckets'] {
  const means = Object.entries(all[0]).map(([bucket, { rows, metrics }]) => {
    const mean: Metrics = {};
    for (const name of Object.keys(metrics))
      mean[name] = average(all.map((one) => one[bucket].metrics[name]));
    return [bucket, { rows, metrics: mean }];
  });
  return Object.fromEntries(means);
}

/** Means over seeds. */
export function costOf(runs: readonly FinishedRun[]): Cost {
  const mean = (of: (run: FinishedRun['result']) => number) => average(runs.map(({ result }) => of(result)));
  return {
    epochs: mean(({ epochs }) => epochs.run),
    secondsPerEpoch: mean(({ timing }) => timing.trainSecondsPerEpoch),
    totalSeconds: mean(({ timing }) => timing.totalSeconds),
    evalRowsPerSecond: mean(({ timing }) => timing.evalRowsPerSecond),
    peakMb: mean(({ peakRssMb }) => peakRssMb),
  };
}

/** None for a run that was counted. */
export function curveOf({ epochs, settings, result }: FinishedRun): Curve[] {
  if (!epochs.length) return [];
  const metric = String(settings['train.metric']);
  let seconds = 0;
  const points = epochs.map(({ epoch, loss, valid, trainSeconds, evalSeconds }) => {
    seconds += trainSeconds + evalSeconds;
    return { epoch, seconds, loss, valid: valid[metric] };
  });
  return [{ seed: result.seed, metric, points }];
}

const average = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
