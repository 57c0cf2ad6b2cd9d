import { existsSync, statSync } from 'node:fs';
import { copyFile, readFile, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { replaceAtomically, writeFileAtomic } from '../common/files.ts';
import { expandHome, hubHome } from './access.ts';

/** A repository of the Hugging Face hub, at a branch, tag or commit. */
export interface HubRepo {
  type: 'model' | 'dataset';
  /** 'org/name' */
  name: string;
  revision: string;
}

/**
 * The folder in which every program that speaks to the hub, Python's included, keeps what it fetched:
 * - `models--org--name/blobs/<hash>`: a file's content, named by its SHA-256 (large files) or git's SHA-1
 * - `models--org--name/snapshots/<commit>/<path>`: a link to the blob
 * - `models--org--name/refs/<branch>`: the commit that a branch stood at
 */
export function hubCache(): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE } = process.env;
  return expandHome(HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE || join(hubHome(), 'hub'));
}

/** Where a repository lies in the cache. */
export function repoFolder({ type, name }: HubRepo): string {
  return join(hubCache(), `${type}s--${name.replaceAll('/', '--')}`);
}

/** The snapshot that the cache has for a revision, whether or not it is complete; no network is asked. */
export async function cachedSnapshot(repo: HubRepo): Promise<string> {
  const folder = repoFolder(repo);
  const commit = await readFile(join(folder, 'refs', repo.revision), 'utf8').catch(() => repo.revision);
  return join(folder, 'snapshots', commit.trim());
}

/** The path of a file in the cache, or undefined. */
export async function cachedFile(repo: HubRepo, file: string): Promise<string | undefined> {
  const path = join(await cachedSnapshot(repo), file);
  return existsSync(path) ? path : undefined;
}

/** True for a file that is there with this size, behind a link or not. */
export function hasSize(path: string, size: number): boolean {
  return existsSync(path) && statSync(path).size === size;
}

/** Makes a blob visible in a snapshot, by a relative link as Python makes it, or by a copy where links are refused. */
export async function linkBlob(blob: string, snapshotFile: string): Promise<void> {
  await replaceAtomically(snapshotFile, async (temporary) => {
    await symlink(relative(dirname(snapshotFile), blob), temporary).catch((error) => {
      if (error.code !== 'EPERM' && error.code !== 'ENOSYS') throw error;
      return copyFile(blob, temporary);
    });
  });
}

/** Notes the commit that a branch or tag stands at, once all that was asked for of it is there. */
export async function writeRef(repo: HubRepo, commit: string): Promise<void> {
  if (commit !== repo.revision) await writeFileAtomic(join(repoFolder(repo), 'refs', repo.revision), commit);
}
