import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../common/errors.ts';
import { hashJson } from '../common/files.ts';
import { QueueClient } from '../queue/client.ts';
import { Store } from '../queue/store.ts';
import { hasReached, type RunState, readRunState } from './run-state.ts';
import type { Executor } from './sweep.ts';
import type { TrialTask } from './trial.ts';

/** A trial as it lies in the queue. */
export interface TrialWork {
  /** Folder that the sweep's folder is in, where the sweep was begun: a worker that has it elsewhere says so. */
  runs: string;
  /** Name of the sweep's folder. */
  sweep: string;
  task: TrialTask;
  until?: number;
  /** s3://bucket/prefix that run folders are kept in; undefined where they are on a folder that all share. */
  artifacts?: string;
}

/** Milliseconds for a shared folder to show what another machine has written into it. */
const patience = 15_000;

/** Trials as work for whoever serves the queue. */
export function remoteExecutor(
  folder: string,
  { queue: url, artifacts }: { queue: string; artifacts?: string },
  signal: AbortSignal,
  say: (text: string) => void,
): Executor {
  const path = resolve(folder);
  const store = artifacts === undefined ? undefined : new Store(artifacts);
  const queue = new QueueClient(url, say);
  let width = 1;
  const running = new Set<string>();
  return {
    get width() {
      return width;
    },
    async advance(trial, until, report) {
      const { id, run, command, set, metric } = trial;
      const data: TrialWork = {
        runs: dirname(path),
        sweep: basename(path),
        task: { run, command, set, metric },
        until,
        artifacts,
      };
      const work = {
        id: `trial-${hashJson([path, id, until ?? null]).slice(0, 16)}`,
        kind: 'trial',
        title: run,
        data,
      };
      let worker = 'a worker';
      const onProgress = (progress: unknown) => {
        running.add(id);
        width = Math.max(width, running.size);
        if (typeof progress !== 'object' || progress === null) return;
        worker = (progress as { worker: string }).worker;
        report(progress as RunState);
      };
      try {
        await queue.run(work, onProgress, signal);
      } finally {
        running.delete(id);
      }
      const at = join(path, run);
      await store?.mirror(`${data.sweep}/${run}`, at, signal);
      for (
        const end = performance.now() + patience;
        !hasReached(await readRunState(at, metric), until);
        await sleep(500)
      )
        if (performance.now() > end)
          throw new UserError(
            `${worker} has done the trial, but its run folder is not in ${path}: let machines share it, or give --artifacts`,
          );
    },
    ready: () => queue.ready(signal),
    close: () => queue.close(),
  };
}
