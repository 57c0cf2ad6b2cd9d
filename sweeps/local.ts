import { join } from 'node:path';
import pLimit from 'p-limit';
import type { Executor } from './sweep.ts';
import { runTrial } from './trial.ts';

/** Trials as processes of this machine, `jobs` at a time, which share its threads. */
export function localExecutor(folder: string, jobs: number, threads: number, signal: AbortSignal): Executor {
  const limit = pLimit(jobs);
  const watch = { signal, threads: Math.max(1, Math.floor(threads / jobs)) };
  return {
    width: jobs,
    advance: (trial, until, onState) =>
      limit(() => runTrial(trial, join(folder, trial.run), until, { ...watch, onState })),
    async ready() {},
    close() {},
  };
}
