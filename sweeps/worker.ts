import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder, readBytes } from '../common/files.ts';
import { shardFile } from '../encoders/shards.ts';
import { Store } from '../queue/store.ts';
import { type Handler, serve } from '../queue/worker.ts';
import type { ShardsWork } from './embedding.ts';
import { keeping } from './keeping.ts';
import { runCommand } from './process.ts';
import type { TrialWork } from './remote.ts';
import { runTrial } from './trial.ts';

export interface WorkerCommand {
  queue: string;
  /** Pieces of work at once. */
  jobs: number;
  /** Threads of all of them together; undefined: one a core. */
  threads?: number;
  /** What embeds texts; undefined: the best that works on this machine. Trials say themselves what they run on. */
  device?: string;
  /** Where this machine has the folder that sweeps' folders are in; undefined: where the sweep has it. */
  runs?: string;
  /** Seconds without a sign of life after which a worker counts as dead. */
  lease: number;
}

/** `rec worker`: carries out trials of sweeps, and shards of embeddings, until the signal is raised. */
export function runWorker(
  { queue, jobs, threads = availableParallelism(), device, runs, lease }: WorkerCommand,
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
  const shards: Handler = async (work: ShardsWork, context) => {
    const log = await mkdtemp(join(tmpdir(), 'rec-shards-'));
    const own = ['--threads', String(share), ...(device ? ['--device', device] : [])];
    const args = ['encode', ...work.args, '--shards', work.shards.join(','), ...own];
    await runCommand(args, log, context.signal);
    await rm(log, { recursive: true });
    if (work.artifacts === undefined) return;
    const store = new Store(work.artifacts);
    for (const shard of work.shards)
      await store.put(
        `${work.folder}/${shardFile(shard)}`,
        await readBytes(cacheFolder(work.folder, shardFile(shard))),
      );
  };
  return serve({ url: queue, jobs, lease: lease * 1000, handlers: { trial, shards }, say }, signal);
}
