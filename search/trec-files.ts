import { writeFileAtomic } from '../common/files.ts';
import type { Query } from './task.ts';
import type { Hits } from './top-k.ts';

/** A query's list in a TREC run. */
export interface RankedQuery {
  query: Query;
  hits: Hits;
}

/**
 * Writes 'query Q0 item rank score tag' a line. trec_eval ignores the rank, holds scores in float32, and orders equal ones by
 * item name: scores are made to fall from line to line, by the smallest step where they would not.
 */
export async function writeRun(
  path: string,
  ranked: readonly RankedQuery[],
  ids: readonly string[],
  tag: string,
): Promise<void> {
  const parts: string[] = [];
  for (const { query, hits } of ranked) {
    const scores = falling(hits.scores);
    hits.items.forEach((item, rank) => {
      parts.push(`${query.id} Q0 ${ids[item]} ${rank + 1} ${scores[rank]} ${tag}\n`);
    });
  }
  await writeFileAtomic(path, blocksOf(parts));
}

/** Writes 'query 0 item grade' a line. */
export async function writeQrels(path: string, queries: readonly Query[]): Promise<void> {
  const parts = queries.flatMap(({ id, relevant }) =>
    relevant.map(({ item, grade }) => `${id} 0 ${item} ${grade}\n`),
  );
  await writeFileAtomic(path, blocksOf(parts));
}

/** Scores as float32, each below the one before. */
export function falling(scores: Float64Array): Float32Array {
  const out = Float32Array.from(scores);
  for (let i = 1; i < out.length; i++) if (!(out[i] < out[i - 1])) out[i] = below(out[i - 1]);
  return out;
}

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** The next float32 below a finite one. */
function below(value: number): number {
  float[0] = value;
  if (value === 0) bits[0] = 0x80000001 | 0;
  else bits[0] += value > 0 ? -1 : 1;
  return float[0];
}

/** Strings are joined a few at a time: all together can be longer than a string may be. */
function blocksOf(parts: readonly string[]): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (let i = 0; i < parts.length; i += 100_000)
    blocks.push(Buffer.from(parts.slice(i, i + 100_000).join('')));
  return blocks;
}
