import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { explainFileError } from '../common/files.ts';
import type { EpochRecord } from './checkpoint.ts';

/**
 * The epochs of a run, as its metrics.jsonl tells; none for a baseline, or before the first. A last line that lacks its
 * end is not there yet: it is being written, or its writer was killed.
 * @throws UserError naming a line that is not JSON
 */
export async function readEpochs(folder: string): Promise<EpochRecord[]> {
  const path = join(folder, 'metrics.jsonl');
  const text = await readFile(path, 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return '';
    throw explainFileError(error, path);
  });
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line, i) => {
    try {
      return JSON.parse(line) as EpochRecord;
    } catch {
      throw new UserError(`${path}:${i + 1}: not valid JSON`);
    }
  });
}
