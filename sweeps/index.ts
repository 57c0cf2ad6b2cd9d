import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { hashJson } from '../common/files.ts';
import { projectCatalogue } from '../configs/catalogue.ts';
import type { ConfigOptions } from '../configs/options.ts';
import { localExecutor } from './local.ts';
import { planSweep } from './plan.ts';
import { Sweep } from './sweep.ts';

export { groupBy } from './halving.ts';
export { bestRows, secondsLeft } from './overview.ts';
export { settingsAsText } from './plan.ts';
export type { Sweep, TrialRow } from './sweep.ts';

/** A sweep as the command line asks for it. */
export interface SweepOptions {
  file: string;
  /** Settings of every trial, over the file's. */
  settings: ConfigOptions;
  /** Trials at once. */
  jobs: number;
  /** Threads of all trials together; undefined: one a core. */
  threads?: number;
  /** Folder that the sweep's folder is made in. */
  runs: string;
  /** The sweep's folder itself, in place of one in `runs`. */
  folder?: string;
}

/** Plans a sweep; `run` carries it out. @throws UsageError where a trial cannot be meant */
export async function openSweep(options: SweepOptions, signal: AbortSignal): Promise<Sweep> {
  const { file, settings, jobs, threads = availableParallelism() } = options;
  const plan = planSweep(file, settings, await projectCatalogue());
  const folder = options.folder ?? join(options.runs, folderName(plan.name, settings));
  return new Sweep(plan, folder, localExecutor(folder, jobs, threads, signal));
}

/** The same command line finds the same folder; settings over the file's make it another sweep. */
function folderName(name: string, { threads: _t, device: _d, ...settings }: ConfigOptions): string {
  const given = Object.values(settings).some((value) => value !== undefined && String(value) !== '');
  const dataset = settings.dataset ? [basename(settings.dataset)] : [];
  return ['sweep', name, ...dataset, ...(given ? [hashJson(settings).slice(0, 8)] : [])].join('-');
}
