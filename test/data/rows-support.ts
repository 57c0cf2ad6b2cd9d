import type { Rows } from '../../data/dataset.ts';

export { columns, randomRows } from '../../training/contract/rows.ts';

/** Every (history, target) pair of rows, histories cut to their last items, spelled out and sorted. */
export function pairsOfRows(pool: Int32Array, { start, end, target }: Rows, maxHistory: number): string[] {
  return Array.from(
    target,
    (t, i) => `${Array.from(pool.subarray(start[i], end[i])).slice(-maxHistory)} > ${t}`,
  ).sort();
}
