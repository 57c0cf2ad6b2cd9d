import { groupBy } from '../common/group.ts';
import type { Plan, Trial } from './plan.ts';

/** A setting of everything but the seed, and its trials: one a seed. */
export interface Candidate {
  trials: Trial[];
}

/** The candidates of each dataset: rivals for the same place. */
export function fieldsOf(trials: readonly Trial[]): Candidate[][] {
  const runs = trials.filter(({ command }) => command[0] === 'run');
  return groupBy(runs, ({ dataset }) => dataset).map((rivals) =>
    groupBy(rivals, ({ candidate }) => candidate).map((same) => ({ trials: same })),
  );
}

/**
 * Rungs of successive halving (Jamieson and Talwalkar, 2016; Hyperband's inner loop, Li et al., 2018): how many epochs
 * a field of candidates is given before all but one in `factor` are dropped. The last ones left go to their end.
 */
export function rungsOf(field: readonly Candidate[], { epochs, factor }: Plan['halving']): number[] {
  const most = Math.max(...field.flatMap(({ trials }) => trials.map((trial) => trial.epochs)));
  const rungs: number[] = [];
  if (!epochs) return rungs;
  let left = field.length;
  for (let budget = epochs; left > 1 && budget < most; budget *= factor) {
    rungs.push(budget);
    left = survivors(left, factor);
  }
  return rungs;
}

export const survivors = (count: number, factor: number): number => Math.max(1, Math.floor(count / factor));

/** Candidates by falling mean score; of equal ones the earlier in the sweep first. Those without a score come last. */
export function ranked(
  field: readonly Candidate[],
  scoreOf: (trial: Trial) => number | undefined,
): Candidate[] {
  const means = new Map(field.map((candidate) => [candidate, meanOf(candidate.trials.map(scoreOf))]));
  return [...field].sort((a, b) => means.get(b)! - means.get(a)! || 0);
}

/** Of the scores that there are: a failed seed does not count against the others. */
function meanOf(scores: readonly (number | undefined)[]): number {
  const known = scores.filter((score) => score !== undefined);
  return known.length ? known.reduce((a, b) => a + b) / known.length : Number.NEGATIVE_INFINITY;
}
