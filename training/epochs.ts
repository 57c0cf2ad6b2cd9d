import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../common/errors.ts';
import { explainFileError } from '../common/files.ts';
import type { EpochRecord } from './checkpoint.ts';

/** What is read of a record. */
const record = z.looseObject({
  epoch: z.number(),
  valid: z.record(z.string(), z.number()),
  trainSeconds: z.number(),
  evalSeconds: z.number(),
});

/**
 * The epochs of a run, as its metrics.jsonl tells; none for a baseline, or before the first. A last line that lacks its
 * end is not there yet: it is being written, or its writer was killed.
 * @throws UserError naming a line that is not such a record
 */
export async function readEpochs(folder: string): Promise<EpochRecord[]> {
  const path = join(folder, 'metrics.jsonl');
  const text = await readFile(path, 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return '';
    throw explainFileError(error, path);
  });
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line, i) => {
    const parsed = record.safeParse(jsonOf(line));
    if (!parsed.success) throw new UserError(`${path}:${i + 1}: not the record of an epoch in JSON`);
    return parsed.data as unknown as EpochRecord;
  });
}

/** Undefined where it is not JSON. */
function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
