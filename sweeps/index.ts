import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { UsageError } from '../common/errors.ts';
import { hashJson } from '../common/files.ts';
import { projectCatalogue } from '../configs/catalogue.ts';
import type { ConfigOptions } from '../configs/options.ts';
import { readSweepFile } from './file.ts';
import { localExecutor } from './local.ts';
import { planSweep } from './plan.ts';
import { Sweep } from './sweep.ts';

export { bestRows, secondsLeft } from './overview.ts';
export { settingsAsText } from './plan.ts';
export type { Sweep, TrialRow } from './sweep.ts';

/** A sweep as the command line asks for it. */
export interface SweepOptions {
  file: string;
  /** Settings of every trial, over the file's. */
  settings: ConfigOptions;
  /** Trials at once, on this machine. */
  jobs: number;
  /** Threads of all trials together; undefined: one a core. */
  threads?: number;
  /** Folder that the sweep's folder is made in. */
  runs: string;
  /** The sweep's folder itself, in place of one in `runs`. */
  folder?: string;
  /** URL of the Redis whose workers are to carry out the trials; undefined: this machine does. */
  queue?: string;
  /** s3://bucket/prefix that run folders go through; undefined: a folder that all machines share. */
  artifacts?: string;
}

/**
 * Plans a sweep; `run` carries it out.
 * @param say told what happens besides the trials
 * @throws UsageError where a trial cannot be meant
 */
export async function openSweep(
  options: SweepOptions,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<Sweep> {
  const { file, settings, jobs, threads = availableParallelism(), queue, artifacts } = options;
  const sweep = readSweepFile(file);
  const folder = options.folder ?? join(options.runs, folderName(sweep.name, settings));
  const plan = planSweep(sweep, folder, settings, await projectCatalogue(settings, [sweep.base]));
  if (artifacts !== undefined && sweep.pretrain.size)
    throw new UsageError(
      'a sweep that pretrains encoders needs a folder that all machines share: leave out --artifacts',
    );
  if (queue === undefined) return new Sweep(plan, folder, localExecutor(folder, jobs, threads, signal));
  const { remoteExecutor } = await import('./remote.ts');
  return new Sweep(plan, folder, remoteExecutor(folder, { queue, artifacts }, signal, say));
}

/** The same command line finds the same folder; settings over the file's make it another sweep. */
function folderName(name: string, { threads: _t, device: _d, ...settings }: ConfigOptions): string {
  const given = Object.values(settings).some((value) => value !== undefined && String(value) !== '');
  const dataset = settings.dataset ? [basename(settings.dataset)] : [];
  return ['sweep', name, ...dataset, ...(given ? [hashJson(settings).slice(0, 8)] : [])].join('-');
}
