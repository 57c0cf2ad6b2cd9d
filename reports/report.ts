import { UsageError } from '../common/errors.ts';
import { groupBy } from '../common/group.ts';
import type { Progress } from '../common/progress.ts';
import { type Metrics, metricOfRows } from '../evaluation/metrics.ts';
import type { TestRanks } from '../training/ranks.ts';
import { type Comparison, compareSystems } from './compare.ts';
import { commonMetrics, commonRule, costOf, curveOf, figuresOf, yardsticksOf } from './figures.ts';
import { type LeftOut, nameOf, readRuns } from './runs.ts';
import { type Group, groupRuns } from './systems.ts';

/** What the command line asks for. */
export interface ReportOptions {
  /** Run folders, and folders of them. */
  paths: string[];
  /** As 'ndcg@10'; by default recall and NDCG at every k that all runs report. */
  metrics?: string[];
  /** Names of systems that the others are compared with; none: each is compared with the best other one. */
  baselines: string[];
  /** Whether seen items compete (`kept`) or not (`filtered`); by default as the runs had it. */
  seen?: Rule;
}

export type Rule = 'kept' | 'filtered';

/** All that a report shows, as plain data. Metrics are fractions. */
export interface Report {
  seen: Rule;
  metrics: string[];
  datasets: { name: string; rowsHash: string; synthetic: boolean; rows: number }[];
  /** The rows of the table. */
  systems: System[];
  /** How many tests were corrected together. */
  tests: number;
  leftOut: LeftOut[];
}

/** A model with its encoder and settings. */
export interface System {
  /** 'unisrec, lsa, model.layers=1' */
  name: string;
  model: string;
  encoder: string | null;
  settings: string;
  /** One a dataset; undefined where it was not run on it. */
  results: (SystemResult | undefined)[];
}

export interface SystemResult {
  /** Empty for a yardstick, whose figures come with the results of the others. */
  seeds: number[];
  /** Names of the run folders, one a seed. */
  runs: string[];
  metrics: Record<string, Figure>;
  /** Mean metrics by how often training has the target. */
  buckets: Record<string, { rows: number; metrics: Metrics }>;
  /** Means over seeds; undefined for a yardstick. */
  cost?: Cost;
  /** One a seed. */
  curves: Curve[];
}

export interface Figure {
  mean: number;
  /** Sample standard deviation over seeds; undefined for fewer than two. */
  sd?: number;
  /** One a seed. */
  values: number[];
  /** The largest mean of the column. */
  best: boolean;
  comparison?: Comparison;
}

export interface Cost {
  epochs: number;
  secondsPerEpoch: number;
  totalSeconds: number;
  evalRowsPerSecond: number;
  peakMb: number;
}

/** How a run's training went, epoch by epoch. */
export interface Curve {
  seed: number;
  /** The validation metric that picked the best epoch. */
  metric: string;
  /** `seconds` of training and validation up to the epoch's end. */
  points: { epoch: number; seconds: number; loss: number; valid: number }[];
}

/** A row of the table, and what its figures are made from: one list a dataset, with one entry a seed. */
export interface Row {
  system: System;
  seeds: (TestRanks[] | undefined)[];
}

/**
 * Reads the runs, puts their seeds together, and tests the differences.
 * @throws UsageError where there is nothing to report, or a metric or a baseline is unknown
 */
export async function makeReport(options: ReportOptions, progress: Progress): Promise<Report> {
  const read = await readRuns(options.paths);
  if (!read.runs.length) {
    const [{ folder, reason }] = read.leftOut;
    throw new UsageError(`there is no finished run to report; ${folder}: ${reason}`);
  }
  const { groups, leftOut } = groupRuns(read.runs);
  const seen = options.seen ?? commonRule(read.runs);
  const metrics = options.metrics ?? commonMetrics(read.runs);
  for (const metric of metrics) metricOfRows(new Int32Array(0), metric);
  const columns = groupBy(groups, ({ dataset, rowsHash }) => `${dataset} ${rowsHash}`);
  const rows = tableRows(columns, metrics, seen);
  const systems = rows.map(({ system }) => system);
  markBest(systems, metrics);
  const tests = compareSystems(rows, { metrics, seen, baselines: options.baselines }, progress);
  return {
    seen,
    metrics,
    datasets: columns.map(describeDataset),
    systems,
    tests,
    leftOut: [...read.leftOut, ...leftOut],
  };
}

function tableRows(columns: readonly Group[][], metrics: readonly string[], seen: Rule): Row[] {
  const rows = new Map<string, Row>();
  const add = (
    of: Pick<System, 'model' | 'encoder' | 'settings'>,
    column: number,
    seeds: TestRanks[],
    rest: Pick<SystemResult, 'seeds' | 'runs' | 'cost' | 'curves'>,
  ) => {
    const name = [of.model, of.encoder, of.settings].filter(Boolean).join(', ');
    const none = () => columns.map(() => undefined);
    const row = rows.get(name) ?? { system: { name, ...of, results: none() }, seeds: none() };
    row.seeds[column] = seeds;
    row.system.results[column] = { ...figuresOf(seeds, metrics, seen), ...rest };
    rows.set(name, row);
  };
  for (const [column, groups] of columns.entries()) {
    for (const { model, encoder, settings, runs } of groups) {
      const seeds = runs.map(({ result }) => result.seed);
      const rest = { seeds, runs: runs.map(nameOf), cost: costOf(runs), curves: runs.flatMap(curveOf) };
      add(
        { model, encoder, settings },
        column,
        runs.map(({ ranks }) => ranks),
        rest,
      );
    }
    // What comes with every run is a row where no run of its own is.
    for (const [name, ranks] of yardsticksOf(groups[0].runs[0]))
      if (!groups.some(({ model }) => model === name))
        add({ model: name, encoder: null, settings: '' }, column, [ranks], {
          seeds: [],
          runs: [],
          curves: [],
        });
  }
  return inOrder([...rows.values()]);
}

/**
 * What only counts comes first, then models of ids, then those of texts; within these each model's rows together, as they
 * were given: a sweep of the paper's Table 4 has its rows in the paper's order.
 */
function inOrder(rows: readonly Row[]): Row[] {
  const kindOf = ({ system: { encoder, results } }: Row) =>
    results.some((result) => result?.curves.length) ? (encoder === null ? 1 : 2) : 0;
  const byModel = groupBy(rows, ({ system }) => system.model).flat();
  return byModel.sort((a, b) => kindOf(a) - kindOf(b));
}

function markBest(systems: readonly System[], metrics: readonly string[]): void {
  for (const column of systems[0].results.keys())
    for (const metric of metrics) {
      const figures = systems.flatMap(({ results }) => results[column]?.metrics[metric] ?? []);
      const highest = Math.max(...figures.map(({ mean }) => mean));
      for (const figure of figures) figure.best = figure.mean === highest;
    }
}

/** Datasets of one name that have other test rows are told apart by their hash. */
function describeDataset([{ dataset, rowsHash, runs }]: Group[], _: number, columns: Group[][]) {
  const namesakes = columns.filter(([group]) => group.dataset === dataset).length;
  return {
    name: namesakes > 1 ? `${dataset} ${rowsHash.slice(0, 6)}` : dataset,
    rowsHash,
    synthetic: runs[0].result.synthetic,
    rows: runs[0].result.rows.test,
  };
}
