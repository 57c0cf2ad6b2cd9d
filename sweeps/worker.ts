import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type Handler, serve } from '../queue/worker.ts';
import { keeping } from './keeping.ts';
import type { TrialWork } from './remote.ts';
import { runTrial } from './trial.ts';

export interface WorkerCommand {
  queue: string;
  /** Pieces of work at once. */
  jobs: number;
  /** Threads of all of them together; undefined: one a core. */
  threads?: number;
  /** Where this machine has the folder that sweeps' folders are in; undefined: where the sweep has it. */
  runs?: string;
  /** Seconds without a sign of life after which a worker counts as dead. */
  lease: number;
}

/** `rec worker`: carries out trials of sweeps, and shards of embeddings, until the signal is raised. */
export function runWorker(
  { queue, jobs, threads = availableParallelism(), runs, lease }: WorkerCommand,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<void> {
  const share = Math.max(1, Math.floor(threads / jobs));
  const trial: Handler = async (work: TrialWork, context) => {
    const folder = join(runs ?? work.runs, work.sweep, work.task.run);
    await keeping(folder, `${work.sweep}/${work.task.run}`, work.artifacts, context.signal, (signal) =>
      runTrial(work.task, folder, work.until, {
        signal,
        threads: share,
        onState: ({ result: _, ...state }) => context.report(state),
      }),
    );
  };
  return serve({ url: queue, jobs, lease: lease * 1000, handlers: { trial }, say }, signal);
}
