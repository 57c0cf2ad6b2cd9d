import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import type { Trial } from './plan.ts';
import { runCommand } from './process.ts';
import { hasReached, type RunState, readRunState } from './run-state.ts';

/** What carrying out a trial needs to know of it. */
export type TrialTask = Pick<Trial, 'run' | 'command' | 'set' | 'metric'>;

export interface TrialWatch {
  signal: AbortSignal;
  /** Threads of the trial's process. */
  threads: number;
  /** Told every second where the run stands. */
  onState(state: RunState): void;
}

/**
 * Brings a trial's run to `until` epochs, or to its end: from nothing, or from its last checkpoint.
 * @param folder the run folder
 * @throws Cancelled, leaving a checkpoint; UserError with the run's own error
 */
export async function runTrial(
  { run, command, set, metric }: TrialTask,
  folder: string,
  until: number | undefined,
  { signal, threads, onState }: TrialWatch,
): Promise<void> {
  const before = await readRunState(folder, metric);
  if (hasReached(before, until)) return;
  onState(before);
  const recipe = existsSync(join(folder, 'config.yaml'))
    ? [command[0], '--resume', folder]
    : [...command, '--folder', folder, ...set.flatMap((assignment) => ['--set', assignment])];
  const pause = until === undefined ? [] : ['--pause-after', String(until)];
  const watch = setInterval(() => void readRunState(folder, metric).then(onState, () => {}), 1000);
  try {
    await runCommand([...recipe, ...pause, '--threads', String(threads)], folder, signal);
  } finally {
    clearInterval(watch);
  }
  if (!hasReached(await readRunState(folder, metric), until))
    throw new UserError(`the run ended without a result; see log.txt in ${run}`);
}
