import { createHash } from 'node:crypto';
import type { Texts } from '../common/texts.ts';

/**
 * The first rows of distinct texts, longest first: batches hold texts of like length, and memory peaks at the start. For
 * every row also the first row with its text, -1 where there is no text.
 */
export function inOrderOfLength(texts: Texts): { order: Int32Array; firstRow: Int32Array } {
  const { firstRow, lengths } = firstRows(texts);
  const order = Int32Array.from(firstRow.keys()).filter((row) => firstRow[row] === row);
  return { order: order.sort((a, b) => lengths[b] - lengths[a] || a - b), firstRow };
}

/** For every row the first row with the same text, -1 where there is no text; and the length of its text. */
function firstRows(texts: Texts): { firstRow: Int32Array; lengths: Int32Array } {
  const firstRow = new Int32Array(texts.length).fill(-1);
  const lengths = new Int32Array(texts.length);
  // Texts are known by a hash, so that they need not stay in memory.
  const known = new Map<string, number>();
  let row = 0;
  for (const text of texts) {
    lengths[row] = text.length;
    if (text.trim()) {
      const hash = createHash('sha256').update(text).digest('base64');
      firstRow[row] = known.get(hash) ?? row;
      if (firstRow[row] === row) known.set(hash, row);
    }
    row++;
  }
  return { firstRow, lengths };
}
