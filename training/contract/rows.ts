import { seeded } from '../../common/random.ts';
import type { Rows } from '../../data/dataset.ts';

/** Rows from one object each. */
export function columns(
  rows: readonly { user?: number; start: number; end: number; target: number }[],
): Rows {
  return {
    user: Int32Array.from(rows, (row) => row.user ?? 0),
    start: Int32Array.from(rows, (row) => row.start),
    end: Int32Array.from(rows, (row) => row.end),
    target: Int32Array.from(rows, (row) => row.target),
  };
}

/** Users with sequences of the given lengths, of random items; every prefix of a sequence is a row. */
export function randomRows(
  lengths: readonly number[],
  seed = 1,
  items = 13,
): { pool: Int32Array; rows: Rows } {
  const random = seeded('rows', seed);
  const pool = Int32Array.from({ length: lengths.reduce((a, b) => a + b, 0) }, () => random.below(items));
  const rows: { user: number; start: number; end: number; target: number }[] = [];
  let start = 0;
  lengths.forEach((length, user) => {
    for (let end = start + 1; end < start + length; end++) rows.push({ user, start, end, target: pool[end] });
    start += length;
  });
  return { pool, rows: columns(rows) };
}
