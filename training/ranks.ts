import { UserError } from '../common/errors.ts';
import { readSafetensors, requireTensor, type Safetensors, writeSafetensors } from '../common/safetensors.ts';
import type { Ranking } from '../evaluation/tally.ts';

/** The file of a run folder that has a rank for every test row. */
export const RANKS_FILE = 'ranks.safetensors';

/** [rows] 0-based ranks of the targets: where items of the row's own history compete (`kept`), and where not (`filtered`). */
export type RankColumns = Ranking['seenRanks'];

/**
 * Where the targets of a run's test rows came, row by row in the order of the prepared dataset. Runs whose `user` and `target` are
 * equal ranked the same rows: their ranks are pairs.
 */
export interface TestRanks extends RankColumns {
  /** [rows] the user of each row: rows of one user are not independent of one another. */
  user: Int32Array;
  /** [rows] the item that was to be found. */
  target: Int32Array;
  /** [rows] how many training rows have the row's target as theirs. */
  targetCount: Int32Array;
  /** The yardsticks' ranks of the same rows, by name. */
  baselines: Record<string, RankColumns>;
}

/**
 * I32 tensors [rows], which any safetensors library reads: `user`, `target`, `targetCount`, `kept`, `filtered`, and for every yardstick
 * `<name>.kept` and `<name>.filtered`.
 */
export async function writeRanks(path: string, ranks: TestRanks): Promise<void> {
  const { baselines, ...own } = ranks;
  const columns: Record<string, Int32Array> = { ...own };
  for (const [name, ranks] of Object.entries(baselines))
    for (const rule of ['kept', 'filtered'] as const) columns[`${name}.${rule}`] = ranks[rule];
  const tensors = Object.entries(columns).map(
    ([name, data]) => [name, { dtype: 'I32', shape: [data.length], data }] as const,
  );
  await writeSafetensors(path, tensors, { format: 'rec-ranks' });
}

/** @throws UserError where the file is damaged or something else */
export async function readRanks(path: string): Promise<TestRanks> {
  const file = await readSafetensors(path);
  const user = column(file, 'user');
  const get = (name: string) => column(file, name, user.length);
  const names = [...file.tensors.keys()].flatMap((name) => /^(.+)\.kept$/.exec(name)?.[1] ?? []);
  return {
    user,
    target: get('target'),
    targetCount: get('targetCount'),
    kept: get('kept'),
    filtered: get('filtered'),
    baselines: Object.fromEntries(
      names.map((name) => [name, { kept: get(`${name}.kept`), filtered: get(`${name}.filtered`) }]),
    ),
  };
}

function column(file: Safetensors, name: string, rows?: number): Int32Array {
  const { data } = requireTensor(file, name, rows === undefined ? undefined : [rows]);
  if (!(data instanceof Int32Array))
    throw new UserError(`${file.path}: tensor '${name}' does not hold I32 numbers`);
  const row = data.findIndex((value) => value < 0);
  if (row >= 0) throw new UserError(`${file.path}: tensor '${name}' is ${data[row]} in row ${row}`);
  return data;
}
