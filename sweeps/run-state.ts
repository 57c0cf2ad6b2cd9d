import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readEpochs } from '../training/epochs.ts';
import { type Outcome, readOutcome } from '../training/result-file.ts';

/** Where a run stands, as its folder tells. */
export interface RunState {
  /** Its inputs are ready and its folder is made. */
  begun: boolean;
  epochs: number;
  /** Best validation metric so far. */
  best?: number;
  /** Spent in training and validation so far. */
  seconds: number;
  result?: Outcome;
}

/**
 * Reads a run folder, whether it is there or not, is being written or is finished.
 * @param metric the validation metric that `best` is of
 * @param until leaves later epochs out of account
 * @throws UserError where one of its files is damaged
 */
export async function readRunState(
  folder: string,
  metric: string,
  until = Number.POSITIVE_INFINITY,
): Promise<RunState> {
  const records = (await readEpochs(folder)).filter(({ epoch }) => epoch <= until);
  const result = existsSync(join(folder, 'result.json')) ? await readOutcome(folder) : undefined;
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
