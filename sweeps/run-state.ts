import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { explainFileError, readJson } from '../common/files.ts';
import type { EpochRecord } from '../training/checkpoint.ts';
import type { RunResult } from '../training/index.ts';

/** Where a run stands, as its folder tells. */
export interface RunState {
  /** Its inputs are ready and its folder is made. */
  begun: boolean;
  epochs: number;
  /** Best validation metric so far. */
  best?: number;
  /** Spent in training and validation so far. */
  seconds: number;
  result?: RunResult;
}

/**
 * Reads a run folder, whether it is there or not, is being written or is finished.
 * @param metric the validation metric that `best` is of
 * @param until leaves later epochs out of account
 */
export async function readRun(
  folder: string,
  metric: string,
  until = Number.POSITIVE_INFINITY,
): Promise<RunState> {
  const records = (await readRecords(folder)).filter(({ epoch }) => epoch <= until);
  const result = existsSync(join(folder, 'result.json'))
    ? await readJson<RunResult>(join(folder, 'result.json'))
    : undefined;
  const scores = records.map(({ valid }) => valid[metric]).filter((score) => score !== undefined);
  // A baseline has no epochs.
  if (!records.length && result) scores.push(result.valid[metric]);
  return {
    begun: existsSync(join(folder, 'config.yaml')),
    epochs: records.length,
    best: scores.length ? Math.max(...scores) : undefined,
    seconds: records.reduce((sum, { trainSeconds, evalSeconds }) => sum + trainSeconds + evalSeconds, 0),
    result,
  };
}

/** True where a run is at its end, or has done `until` epochs. */
export function hasReached({ epochs, result }: RunState, until?: number): boolean {
  return result !== undefined || (until !== undefined && epochs >= until);
}

/** The lines of metrics.jsonl; one that is only half written is not there yet. */
async function readRecords(folder: string): Promise<EpochRecord[]> {
  const path = join(folder, 'metrics.jsonl');
  const text = await readFile(path, 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return '';
    throw explainFileError(error, path);
  });
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as EpochRecord);
}
