import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { messageOf, UsageError, UserError } from '../common/errors.ts';
import { readJson } from '../common/files.ts';
import { readYamlLayer } from '../configs/layers.ts';
import { leavesOf } from '../configs/values.ts';
import { rankMetrics } from '../evaluation/metrics.ts';
import { SWEEP_FILE, type Sweep } from '../sweeps/sweep.ts';
import type { EpochRecord } from '../training/checkpoint.ts';
import { readEpochs } from '../training/epochs.ts';
import { RANKS_FILE, readRanks, type TestRanks } from '../training/ranks.ts';
import type { RunResult } from '../training/result.ts';
import { readResult } from '../training/result-file.ts';
import { RunFolder } from '../training/run-folder.ts';

/** A finished run, as its folder tells. */
export interface FinishedRun {
  folder: string;
  result: RunResult;
  /** Dotted key -> value. */
  settings: Record<string, unknown>;
  /** Hash of the test rows: runs that share it were measured on the same. */
  rowsHash: string;
  epochs: EpochRecord[];
  ranks: TestRanks;
}

/** A folder that is not reported, and why. */
export interface LeftOut {
  folder: string;
  reason: string;
}

/**
 * Reads run folders, and those in folders of runs, such as 'runs' or a sweep's.
 * @throws UserError for a path without a run in it
 */
export async function readRuns(
  paths: readonly string[],
): Promise<{ runs: FinishedRun[]; leftOut: LeftOut[] }> {
  const found = new Map<string, Found>();
  for (const path of paths) for (const one of await foldersAt(path)) found.set(one.folder, one);
  const runs: FinishedRun[] = [];
  const leftOut: LeftOut[] = [];
  for (const { folder, state = 'not finished' } of found.values()) {
    if (!existsSync(join(folder, 'result.json'))) leftOut.push({ folder, reason: state });
    else
      try {
        runs.push(await readFinishedRun(folder));
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        leftOut.push({ folder, reason: messageOf(error) });
      }
  }
  return { runs, leftOut };
}

/** A run folder, and where a sweep says that its run stands. */
interface Found {
  folder: string;
  state?: string;
}

async function foldersAt(path: string): Promise<Found[]> {
  const whole = resolve(path);
  if (!existsSync(whole)) throw new UserError(`${path}: does not exist`);
  if (!statSync(whole).isDirectory())
    throw new UsageError(`${path}: is a file; name the folder of a run, or of runs`);
  const found = await runFolders(whole, 2);
  if (!found.length)
    throw new UsageError(`${path}: no run folder (one with config.yaml and dataset.json) in it`);
  return found;
}

/** The runs of a folder: itself, those that a sweep lists, or those in it. */
async function runFolders(folder: string, levels: number): Promise<Found[]> {
  if (['config.yaml', 'dataset.json'].every((name) => existsSync(join(folder, name)))) return [{ folder }];
  if (!levels) return [];
  const sweep = join(folder, SWEEP_FILE);
  if (existsSync(sweep)) {
    const trials = (await readJson<Partial<ReturnType<Sweep['listing']>> | null>(sweep))?.trials;
    if (!Array.isArray(trials)) throw new UserError(`${sweep}: lists no trials of a sweep`);
    // Encoders that a sweep pretrains are no rows of a table; trials that lack theirs say so.
    const runs = trials.filter(({ settings }) => settings.pretrain === undefined);
    return runs.map(({ run, status, stop, error }) => ({
      folder: join(folder, run),
      state: [status, error ?? stop].filter(Boolean).join(': '),
    }));
  }
  const found: Found[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1)))
    if (entry.isDirectory()) found.push(...(await runFolders(join(folder, entry.name), levels - 1)));
  return found;
}

async function readFinishedRun(folder: string): Promise<FinishedRun> {
  const run = RunFolder.open(folder);
  const file = (name: string) => run.file(name);
  const result = await readResult(run.path);
  const ranks = await readRanks(file(RANKS_FILE));
  requireAgreement(ranks, result, file(RANKS_FILE));
  return {
    folder,
    result,
    settings: Object.fromEntries(leavesOf(readYamlLayer(file('config.yaml')).values)),
    rowsHash: hashRows(ranks, result.items),
    epochs: await readEpochs(run.path),
    ranks,
  };
}

/** @throws UserError where a run's ranks do not have the test metrics that the run came to: they are damaged, or another's */
function requireAgreement(ranks: TestRanks, { test, protocol }: RunResult, path: string): void {
  const names = Object.keys(test);
  const topk = names.flatMap((name) => (name.startsWith('recall@') ? [Number(name.split('@')[1])] : []));
  const found = rankMetrics(ranks[protocol.filterSeen ? 'filtered' : 'kept'], topk);
  const other = names.find((name) => Math.abs((found[name] ?? test[name]) - test[name]) > 1e-9);
  if (other !== undefined)
    throw new UserError(`${path}: its ${other} is ${found[other]}, that of result.json is ${test[other]}`);
}

function hashRows({ user, target }: TestRanks, items: number): string {
  const hash = createHash('sha256').update(`${items} items`);
  for (const { buffer, byteOffset, byteLength } of [user, target])
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest('hex');
}

/** As shown: the folder's own name. */
export const nameOf = ({ folder }: { folder: string }): string => basename(folder);
