import { groupBy } from '../common/group.ts';
import type { Sweep, TrialRow } from './sweep.ts';

/** The trial with the best validation metric so far, of every dataset. */
export function bestRows(rows: readonly TrialRow[]): TrialRow[] {
  const scored = rows.filter(({ state }) => state.best !== undefined);
  return groupBy(scored, ({ trial }) => trial.dataset).map((rivals) =>
    rivals.reduce((best, row) => (row.state.best! > best.state.best! ? row : best)),
  );
}

/**
 * Seconds until the trials under way and waiting are where they are going, from the pace so far; undefined before the
 * first epoch. How soon a trial will stop is guessed from those that have stopped.
 */
export function secondsLeft({ rows, width }: Sweep): number | undefined {
  const paced = rows.filter(({ state }) => state.epochs > 0);
  if (!paced.length) return undefined;
  const pace = mean(paced.map(({ state }) => state.seconds / state.epochs));
  const done = rows.filter(({ status }) => status === 'done');
  const length = done.length ? mean(done.map(({ state }) => state.epochs)) : undefined;
  const open = rows.filter(({ status }) => status === 'waiting' || status === 'running');
  const left = open.map(({ trial, state, until }) => {
    const target = until ?? Math.min(trial.epochs, length ?? trial.epochs);
    const own = state.epochs ? state.seconds / state.epochs : pace;
    return Math.max(0, target - state.epochs) * own;
  });
  return Math.max(sum(left) / width, ...left);
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
