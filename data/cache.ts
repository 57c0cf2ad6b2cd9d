import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, UserError } from '../common/errors.ts';
import { hashFile, hashJson, readBytes, readJson, replaceAtomically } from '../common/files.ts';
import { readSafetensors, requireTensor, writeSafetensors } from '../common/safetensors.ts';
import type { Dataset, Manifest, Rows } from './dataset.ts';
import { type SplitName, splitNames } from './table.ts';

/**
 * A prepared dataset on disk is a folder:
 * - manifest.json: the Manifest
 * - arrays.safetensors: int32 tensors `pool`, and `train.user`, `train.start`, `train.end`, `train.target`, likewise
 *   for valid and test
 * - items.jsonl: line i is {"id": ..., "text": ...} of item i; no "text" where the source has none
 * - seal.json: format version, and bytes' SHA-256 of the other files; written into the folder before it gets its name
 */
export const formatVersion = 1;
const files = ['manifest.json', 'arrays.safetensors', 'items.jsonl'] as const;
const columns = ['user', 'start', 'end', 'target'] as const;

interface Seal {
  formatVersion: number;
  sha256: Record<string, string>;
}

/** Writes a prepared dataset; another process that wrote the same one first is no error. */
export async function writePrepared(folder: string, dataset: Dataset): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  try {
    await replaceAtomically(folder, async (temporary) => {
      await mkdir(temporary, { recursive: true });
      await writeFile(join(temporary, 'manifest.json'), `${JSON.stringify(dataset.manifest, null, 2)}\n`);
      await writeSafetensors(join(temporary, 'arrays.safetensors'), tensorsOf(dataset));
      const lines = dataset.itemIds.map((id, i) => JSON.stringify({ id, text: dataset.itemTexts?.[i] }));
      await writeFile(join(temporary, 'items.jsonl'), `${lines.join('\n')}\n`);
      const sha256: Record<string, string> = {};
      for (const file of files) sha256[file] = await hashFile(join(temporary, file));
      await writeFile(join(temporary, 'seal.json'), JSON.stringify({ formatVersion, sha256 } satisfies Seal));
    });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}

function* tensorsOf(dataset: Dataset) {
  const tensor = (data: Int32Array) => ({ dtype: 'I32' as const, shape: [data.length], data });
  yield ['pool', tensor(dataset.pool)] as const;
  for (const split of splitNames)
    for (const column of columns) yield [`${split}.${column}`, tensor(dataset[split][column])] as const;
}

/**
 * Reads a prepared dataset back; undefined where there is none.
 * @throws UserError where it is damaged, of another format, or does not belong to `hash`.
 */
export async function readPrepared(folder: string, hash: string): Promise<Dataset | undefined> {
  if (!existsSync(folder)) return undefined;
  const seal = await readJson<Seal>(join(folder, 'seal.json'));
  if (seal.formatVersion !== formatVersion) throw new UserError(`${folder}: of format ${seal.formatVersion}`);
  for (const file of files)
    if (seal.sha256?.[file] !== (await hashFile(join(folder, file))))
      throw new UserError(`${join(folder, file)}: its bytes have changed`);
  const manifest = await readJson<Manifest>(join(folder, 'manifest.json'));
  if (manifest.hash !== hash) throw new UserError(`${folder}: holds the dataset ${manifest.hash}`);
  const arrays = await readSafetensors(join(folder, 'arrays.safetensors'));
  const array = (name: string): Int32Array => requireTensor(arrays, name).data as Int32Array;
  const rows = (split: SplitName): Rows => ({
    user: array(`${split}.user`),
    start: array(`${split}.start`),
    end: array(`${split}.end`),
    target: array(`${split}.target`),
  });
  const items = (await readBytes(join(folder, 'items.jsonl')))
    .toString('utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: string; text?: string });
  return {
    name: manifest.name,
    synthetic: manifest.synthetic,
    itemCount: manifest.counts.items,
    userCount: manifest.counts.users,
    itemIds: items.map(({ id }) => id),
    itemTexts: items.some(({ text }) => text !== undefined) ? items.map(({ text }) => text ?? '') : undefined,
    pool: array('pool'),
    train: rows('train'),
    valid: rows('valid'),
    test: rows('test'),
    manifest,
  };
}

/** Like readPrepared, but a dataset that cannot be trusted counts as none; `complain` is told why. */
export async function readIntact(
  folder: string,
  hash: string,
  complain: (reason: string) => void,
): Promise<Dataset | undefined> {
  try {
    return await readPrepared(folder, hash);
  } catch (error) {
    complain(messageOf(error));
    return undefined;
  }
}

/** The identity of a prepared dataset, from whatever decides its content. */
export function datasetHash(parts: Record<string, unknown>): string {
  return hashJson({ formatVersion, ...parts });
}
