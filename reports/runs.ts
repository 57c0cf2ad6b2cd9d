import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { messageOf, UsageError, UserError } from '../common/errors.ts';
import { readJson } from '../common/files.ts';
import { readYamlLayer } from '../configs/layers.ts';
import { isValues, type Values } from '../configs/values.ts';
import type { EpochRecord } from '../training/checkpoint.ts';
import { RANKS_FILE, readRanks, type TestRanks } from '../training/ranks.ts';
import type { RunResult } from '../training/result.ts';

/** A finished run, as its folder tells. */
export interface FinishedRun {
  folder: string;
  result: RunResult;
  /** Dotted key -> value. */
  settings: Record<string, unknown>;
  /** Hash of the prepared dataset. */
  datasetHash: string;
  epochs: EpochRecord[];
  /** Undefined for a run of a version that saved none. */
  ranks?: TestRanks;
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
  const folders = [...new Set(paths.flatMap((path) => foldersAt(path)))];
  const runs: FinishedRun[] = [];
  const leftOut: LeftOut[] = [];
  for (const folder of folders) {
    if (!existsSync(join(folder, 'result.json'))) leftOut.push({ folder, reason: 'not finished' });
    else
      try {
        runs.push(await readRun(folder));
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        leftOut.push({ folder, reason: messageOf(error) });
      }
  }
  return { runs, leftOut };
}

/** Runs lie in a folder, or a level below where a sweep has them. */
function foldersAt(path: string): string[] {
  const whole = resolve(path);
  if (!existsSync(whole)) throw new UsageError(`${path}: does not exist`);
  if (!statSync(whole).isDirectory())
    throw new UsageError(`${path}: is a file; name the folder of a run, or of runs`);
  const found = runFolders(whole, 2);
  if (!found.length)
    throw new UsageError(`${path}: no run folder (one with config.yaml and dataset.json) in it`);
  return found;
}

function runFolders(folder: string, levels: number): string[] {
  if (['config.yaml', 'dataset.json'].every((name) => existsSync(join(folder, name)))) return [folder];
  if (!levels) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
    .flatMap((name) => runFolders(join(folder, name), levels - 1));
}

async function readRun(folder: string): Promise<FinishedRun> {
  const file = (name: string) => join(folder, name);
  const [result, { hash }] = await Promise.all([
    readJson<RunResult>(file('result.json')),
    readJson<{ hash: string }>(file('dataset.json')),
  ]);
  if (!result.test || !result.seen) throw new UserError(`${file('result.json')}: not the result of a run`);
  return {
    folder,
    result,
    settings: flatten(readYamlLayer(file('config.yaml')).values),
    datasetHash: hash,
    epochs: readEpochs(file('metrics.jsonl')),
    ranks: existsSync(file(RANKS_FILE)) ? await readRanks(file(RANKS_FILE)) : undefined,
  };
}

function readEpochs(path: string): EpochRecord[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  return lines.map((line, i) => {
    try {
      return JSON.parse(line) as EpochRecord;
    } catch {
      throw new UserError(`${path}:${i + 1}: not valid JSON`);
    }
  });
}

function flatten(values: Values, prefix = ''): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([key, value]) =>
      isValues(value) ? Object.entries(flatten(value, `${prefix}${key}.`)) : [[prefix + key, value]],
    ),
  );
}

/** As shown: the folder's own name. */
export const nameOf = ({ folder }: { folder: string }): string => basename(folder);
