import { UserError } from '../common/errors.ts';
import { byPopularity, type Metrics, rankMetrics } from '../evaluation/metrics.ts';
import type { BaselineResult } from '../training/baseline.ts';
import { RANKS_FILE, type TestRanks } from '../training/ranks.ts';
import type { Cost, Curve, Figure, Rule, SystemResult } from './report.ts';
import { type FinishedRun, nameOf } from './runs.ts';

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

/** Something that was ranked on the test rows: a run's model, or a yardstick beside it. */
export interface Ranked extends Pick<BaselineResult, 'seen' | 'byPopularity'> {
  /** As `name` in messages. */
  name: string;
  /** The rule that `byPopularity` follows. */
  rule: Rule;
  /** Undefined for what a version ranked that saved none. */
  ranks?: TestRanks;
}

/** What of a run its figures follow from. */
export const rankedOf = ({ result, ranks, ...run }: FinishedRun): Ranked => ({
  name: nameOf(run),
  rule: result.protocol.filterSeen ? 'filtered' : 'kept',
  seen: result.seen,
  byPopularity: result.byPopularity,
  ranks,
});

/** The counted baselines that come with every result. */
export function yardsticksOf({ result, ranks, ...run }: FinishedRun): Ranked[] {
  return Object.entries(result.baselines).map(([name, { seen, byPopularity }]) => {
    const columns = ranks?.baselines[name];
    return {
      ...rankedOf({ result, ranks, ...run }),
      name,
      seen,
      byPopularity,
      ranks: columns && { ...ranks, ...columns },
    };
  });
}

/** The figures of one system on one dataset, its seeds together. */
export function figuresOf(
  seeds: readonly Ranked[],
  metrics: readonly string[],
  seen: Rule,
): Pick<SystemResult, 'metrics' | 'buckets'> {
  return {
    metrics: Object.fromEntries(
      metrics.map((metric) => [metric, figure(seeds.map((one) => metricOf(one, metric, seen)))]),
    ),
    buckets: meanBuckets(
      seeds.map((one) => bucketsOf(one, metrics, seen)).filter((one) => one !== undefined),
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

/** From the ranks where there are some, which know every k and both rules. */
function metricOf({ name, seen: figures, ranks }: Ranked, metric: string, seen: Rule): number {
  const k = Number(metric.split('@')[1]);
  const value = (ranks ? rankMetrics(ranks[seen], [k]) : figures[seen])[metric];
  if (value !== undefined) return value;
  throw new UserError(`${name} reports no ${metric}, and has no ${RANKS_FILE} to take it from`);
}

function bucketsOf(
  { ranks, rule, byPopularity: figures }: Ranked,
  metrics: readonly string[],
  seen: Rule,
): SystemResult['buckets'] | undefined {
  if (!ranks) return rule === seen ? figures : undefined;
  const topk = [...new Set(metrics.map((metric) => Number(metric.split('@')[1])))];
  return byPopularity(ranks[seen], Int32Array.from(ranks[seen].keys()), ranks.targetCount, topk);
}

/** Seeds have the same test rows, so the same rows in every bucket. */
function meanBuckets(all: readonly SystemResult['buckets'][]): SystemResult['buckets'] {
  const means = Object.entries(all[0] ?? {}).map(([bucket, { rows, metrics }]) => {
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
