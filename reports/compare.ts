import { unknownName } from '../common/errors.ts';
import type { Progress } from '../common/progress.ts';
import { metricOfRows } from '../evaluation/metrics.ts';
import { holm, randomisationTest } from '../evaluation/significance.ts';
import type { TestRanks } from '../training/ranks.ts';
import type { Row, Rule } from './report.ts';

/** A system's figure beside that of the best baseline. */
export interface Comparison {
  /** The baseline's name. */
  against: string;
  /** Difference of the means relative to the baseline's; undefined where that is 0. */
  improvement?: number;
  /** p-value of the paired randomisation test, and the same after Holm's correction for all tests of the report. */
  p: number;
  adjusted: number;
}

export interface ComparisonOptions {
  metrics: readonly string[];
  seen: Rule;
  /** Names of systems, or of models, which mean all systems of theirs. */
  baselines: readonly string[];
}

/**
 * Compares every system with the best baseline, column by column, and writes into its figures what came out. Without
 * baselines named, all systems are: each is compared with the best other one, and the best with its runner-up.
 *
 * What is permuted are users: a row's metric is averaged over a system's seeds, then summed over a user's rows. So the test asks
 * whether the difference holds for other users; what another seed would change, the standard deviation shows.
 *
 * @returns the number of tests
 */
export function compareSystems(
  rows: readonly Row[],
  { metrics, seen, baselines }: ComparisonOptions,
  progress: Progress,
): number {
  const named = namedBaselines(rows, baselines);
  const comparisons = rows[0].seeds.flatMap((_, column) =>
    metrics.flatMap((metric) => comparisonsIn(rows, named, column, metric)),
  );
  progress.begin('testing differences', 'tests', comparisons.length);
  const known = new Map<string, Map<number, number>>();
  const valuesOf = ({ system, seeds }: Row, column: number, metric: string) => {
    const key = [column, metric, system.name].join('\n');
    const values = known.get(key) ?? userValues(seeds[column]!, metric, seen);
    known.set(key, values);
    return values;
  };
  // The best system and its runner-up are one pair, and one test.
  const tested = new Map<string, { p: number; of: Comparison[] }>();
  for (const [i, { row, baseline, column, metric }] of comparisons.entries()) {
    const figure = row.system.results[column]!.metrics[metric];
    const { mean } = baseline.system.results[column]!.metrics[metric];
    const improvement = mean > 0 ? figure.mean / mean - 1 : undefined;
    const comparison = { against: baseline.system.name, improvement, p: 1, adjusted: 1 };
    figure.comparison = comparison;
    const names = [row, baseline].map(({ system }) => system.name);
    const pair = [column, metric, ...names.sort()].join('\n');
    const values = [row, baseline].map((one) => valuesOf(one, column, metric));
    const test = tested.get(pair) ?? { p: pairedTest(values[0], values[1]), of: [] };
    test.of.push(comparison);
    tested.set(pair, test);
    progress.advance(i + 1);
  }
  progress.end();
  const tests = [...tested.values()];
  const adjusted = holm(tests.map(({ p }) => p));
  for (const [i, { p, of }] of tests.entries())
    for (const comparison of of) Object.assign(comparison, { p, adjusted: adjusted[i] });
  return tests.length;
}

interface Pair {
  row: Row;
  baseline: Row;
  column: number;
  metric: string;
}

function comparisonsIn(
  rows: readonly Row[],
  named: ReadonlySet<Row>,
  column: number,
  metric: string,
): Pair[] {
  const meanOf = ({ system }: Row) => system.results[column]!.metrics[metric].mean;
  const present = rows.filter(({ seeds }) => seeds[column]).sort((a, b) => meanOf(b) - meanOf(a));
  return present.flatMap((row) => {
    if (named.has(row)) return [];
    const baseline = present.find((other) => other !== row && (!named.size || named.has(other)));
    return baseline ? [{ row, baseline, column, metric }] : [];
  });
}

function namedBaselines(rows: readonly Row[], names: readonly string[]): ReadonlySet<Row> {
  return new Set(
    names.flatMap((name) => {
      const meant = rows.filter(({ system }) => system.name === name || system.model === name);
      if (!meant.length)
        throw unknownName(
          'baseline',
          name,
          rows.map(({ system }) => system.name),
          '--baseline',
        );
      return meant;
    }),
  );
}

/** For every user the sum of a metric over the user's rows, averaged over seeds. */
function userValues(seeds: readonly TestRanks[], metric: string, seen: Rule): Map<number, number> {
  const values = new Map<number, number>();
  for (const { user, ...ranks } of seeds)
    metricOfRows(ranks[seen], metric).forEach((value, row) => {
      values.set(user[row], (values.get(user[row]) ?? 0) + value / seeds.length);
    });
  return values;
}

function pairedTest(ours: Map<number, number>, theirs: Map<number, number>): number {
  // Averages of seeds that sum the same values in another order are equal but for the last bits.
  const differences = Array.from(ours, ([user, value]) => {
    const difference = value - theirs.get(user)!;
    return Math.abs(difference) < 1e-12 ? 0 : difference;
  });
  return randomisationTest(differences);
}
