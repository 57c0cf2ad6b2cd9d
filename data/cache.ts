import { existsSync } from 'node:fs';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf, UserError } from '../common/errors.ts';
import {
  explainFileError,
  hashFile,
  hashJson,
  readBytes,
  readJson,
  replaceAtomically,
  temporaryPath,
} from '../common/files.ts';
import { isAlive } from '../common/process.ts';
import { readSafetensors, requireTensor } from '../common/safetensors.ts';
import type { Dataset, Manifest, Rows } from './dataset.ts';
import { files, formatVersion, type Seal } from './store.ts';
import type { SplitName } from './table.ts';
import { openTexts } from './text-file.ts';

/** The end of the name of a temporary file or folder: the process that made it (see replaceAtomically). */
const temporaryName = /\.(\d+)-[0-9a-f]{8}\.tmp$/;
/** Processes of other machines that share the cache cannot be asked whether they live: what is young stays. */
const ABANDONED_AFTER_MS = 3_600_000;

/** Removes temporary files in a folder whose process was killed. */
export async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const maker = Number(temporaryName.exec(name)?.[1]);
    if (!maker || isAlive(maker)) continue;
    const path = join(folder, name);
    const changed = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => Number.POSITIVE_INFINITY,
    );
    if (Date.now() - changed > ABANDONED_AFTER_MS) await rm(path, { recursive: true, force: true });
  }
}

/**
 * Makes the folder of a prepared dataset: `write` fills a temporary one, which then gets its name. Another process that
 * made the same one first is no error.
 */
export async function writePrepared(
  folder: string,
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  await removeAbandoned(dirname(folder));
  try {
    await replaceAtomically(folder, write);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}

/**
 * Makes sure that a prepared dataset is whole; undefined where there is none.
 * @throws UserError where it is damaged, of another format, or does not belong to `hash`.
 */
export async function checkPrepared(folder: string, hash: string): Promise<Manifest | undefined> {
  if (!existsSync(folder)) return undefined;
  const seal = await readJson<Seal>(join(folder, 'seal.json'));
  if (seal.formatVersion !== formatVersion) throw new UserError(`${folder}: of format ${seal.formatVersion}`);
  for (const file of files)
    if (seal.sha256?.[file] !== (await hashFile(join(folder, file))))
      throw new UserError(`${join(folder, file)}: its bytes have changed`);
  const manifest = await readJson<Manifest>(join(folder, 'manifest.json'));
  if (manifest.hash !== hash) throw new UserError(`${folder}: holds the dataset ${manifest.hash}`);
  return manifest;
}

/** Reads a prepared dataset that is whole. Texts stay on disk. */
export async function readPrepared(folder: string, manifest: Manifest): Promise<Dataset> {
  const arrays = await readSafetensors(join(folder, 'arrays.safetensors'));
  const array = (name: string): Int32Array => requireTensor(arrays, name).data as Int32Array;
  const rows = (split: SplitName): Rows => ({
    user: array(`${split}.user`),
    start: array(`${split}.start`),
    end: array(`${split}.end`),
    target: array(`${split}.target`),
  });
  const ids = (await readBytes(join(folder, 'ids.jsonl'))).toString('utf8').trimEnd().split('\n');
  const offset = requireTensor(arrays, 'texts.offset').data as Float64Array;
  return {
    name: manifest.name,
    synthetic: manifest.synthetic,
    itemCount: manifest.counts.items,
    userCount: manifest.counts.users,
    itemIds: ids.map((line) => JSON.parse(line) as string),
    itemTexts: offset.at(-1) ? openTexts(join(folder, 'texts.jsonl'), offset) : undefined,
    pool: array('pool'),
    train: rows('train'),
    valid: rows('valid'),
    test: rows('test'),
    manifest,
  };
}

/**
 * Like checkPrepared, but a damaged dataset is removed and counts as none; `complain` is told why.
 * @throws where it cannot be read just now: others may be reading it.
 */
export async function findIntact(
  folder: string,
  hash: string,
  complain: (reason: string) => void,
): Promise<Manifest | undefined> {
  try {
    return await checkPrepared(folder, hash);
  } catch (error) {
    await removeDamaged(folder, error);
    complain(messageOf(error));
    return undefined;
  }
}

/**
 * Removes a folder of the cache whose reading failed, where that was for what is in it; its name is free at once.
 * @throws the error itself where it says nothing of the content: too many open files, a disk or network that fails
 */
export async function removeDamaged(folder: string, error: unknown): Promise<void> {
  const { code } = (error instanceof UserError && error.cause ? error.cause : error) as NodeJS.ErrnoException;
  if (code !== undefined && code !== 'ENOENT') throw error;
  const away = temporaryPath(folder);
  await rename(folder, away).catch((reason: NodeJS.ErrnoException) => {
    // Another process was faster.
    if (reason.code !== 'ENOENT') throw explainFileError(reason, folder);
  });
  await rm(away, { recursive: true, force: true });
}

/** The identity of a prepared dataset, from whatever decides its content. */
export function datasetHash(parts: Record<string, unknown>): string {
  return hashJson({ formatVersion, ...parts });
}
