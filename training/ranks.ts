import { UserError } from '../common/errors.ts';
import { readSafetensors, requireTensor, writeSafetensors } from '../common/safetensors.ts';

/** The file of a run folder that has a rank for every test row. */
export const RANKS_FILE = 'ranks.safetensors';

/**
 * Where the targets of a run's test rows came, row by row in the order of the prepared dataset. Two runs on the same prepared
 * dataset (their `dataset` is equal) have the same rows, so their ranks are pairs.
 */
export interface TestRanks {
  /** [rows] 0-based ranks where items of the row's own history compete. */
  kept: Int32Array;
  /** [rows] 0-based ranks where they do not. */
  filtered: Int32Array;
  /** [rows] how many training rows have the row's target as theirs. */
  targetCount: Int32Array;
  /** Hash of the prepared dataset, as in dataset.json. */
  dataset: string;
}

/** Three I32 tensors of 4 bytes a row: any safetensors library reads them. */
export async function writeRanks(path: string, { dataset, ...columns }: TestRanks): Promise<void> {
  const tensors = Object.entries(columns).map(
    ([name, data]) => [name, { dtype: 'I32', shape: [data.length], data }] as const,
  );
  await writeSafetensors(path, tensors, { format: 'rec-ranks', dataset });
}

/** @throws UserError where the file is damaged or something else */
export async function readRanks(path: string): Promise<TestRanks> {
  const file = await readSafetensors(path);
  const column = (name: string, shape?: readonly number[]): Int32Array => {
    const { data } = requireTensor(file, name, shape);
    if (data instanceof Int32Array) return data;
    throw new UserError(`${path}: tensor '${name}' does not hold I32 ranks`);
  };
  const kept = column('kept');
  return {
    kept,
    filtered: column('filtered', [kept.length]),
    targetCount: column('targetCount', [kept.length]),
    dataset: file.metadata.dataset ?? '',
  };
}
