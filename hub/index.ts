import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '../common/bytes.ts';
import { UserError } from '../common/errors.ts';
import { explainFileError } from '../common/files.ts';
import type { Progress } from '../common/progress.ts';
import { type HubAccess, hubAccess, hubIsOffline } from './access.ts';
import { downloadBlob, type Wanted } from './blob.ts';
import { type HubRepo, hasSize, hubCache, linkBlob, repoFolder, writeRef } from './cache.ts';
import { HubClient, matches } from './client.ts';
import { HubUnreachable } from './faults.ts';

export { cachedFile, cachedSnapshot, type HubRepo, hubCache } from './cache.ts';

/** Files of a repository that something needs. */
export interface HubNeed {
  /** What needs them: "dataset 'games'". */
  by: string;
  repo: HubRepo;
  /** Paths; '*' stands for any part of a file's name. */
  files: readonly string[];
  /** Picks from those of `files` that there are. Left out: each of `files` must be there, and all are wanted. */
  choose?(there: readonly string[]): readonly string[];
  /** What to do where the hub cannot be asked. */
  advice: string;
}

/** A file that was asked for. */
export interface HubDownload {
  repo: string;
  file: string;
  bytes: number;
  /** Where it lies, or would lie. */
  path: string;
  /** True where it was there before. */
  here: boolean;
}

interface Planned extends Wanted {
  /** The blob's path in the snapshot. */
  link: string;
}

/**
 * Sees to it that the files are in the hub's cache (undefined needs nothing): says first what is missing and how large it is, then downloads it.
 * @throws UserError with the needs' advice where the hub cannot be asked, in its own words where it refuses.
 */
export async function download(
  wanted: readonly (HubNeed | undefined)[],
  progress: Progress,
  { dryRun = false, access = hubAccess }: { dryRun?: boolean; access?: () => HubAccess } = {},
): Promise<HubDownload[]> {
  const needs = wanted.filter((need) => need !== undefined);
  const advice = needs.map((need) => need.advice).join('\n');
  if (!needs.length) return [];
  if (hubIsOffline()) throw new UserError(`HF_HUB_OFFLINE is set: nothing is downloaded.\n${advice}`);
  const client = new HubClient(access(), progress);
  let begun = false;
  try {
    const planned: Planned[] = [];
    for (const need of needs) planned.push(...(await plan(need, client)));
    const missing = planned.filter(({ blob, file }) => !hasSize(blob, file.size));
    const done = planned.map((file) => describe(file, !missing.includes(file)));
    if (missing.length) progress.note(announcement(needs, missing));
    if (dryRun) return done;
    await requireSpace(missing);
    begun = missing.length > 0;
    for (const file of missing) await downloadBlob(client, file, progress);
    for (const { blob, link, file } of planned) if (!hasSize(link, file.size)) await linkBlob(blob, link);
    for (const { repo, commit } of planned) await writeRef(repo, commit);
    return done;
  } catch (error) {
    if (!(error instanceof HubUnreachable)) throw error;
    const kept = begun ? ' What was downloaded before is kept.' : '';
    throw new UserError(`${error.message}.${kept}\n${advice}`, { cause: error });
  }
}

async function plan({ repo, files, choose }: HubNeed, client: HubClient): Promise<Planned[]> {
  const commit = await client.commit(repo);
  const there = await client.files(repo, commit, files);
  const missing = files.filter((pattern) => !there.some(({ path }) => matches(path, pattern)));
  if (missing.length && !choose)
    throw new UserError(
      `${repo.type} ${repo.name} has no file ${missing.join(', ')} (at ${repo.revision}, ${commit}).`,
    );
  const wanted = choose?.(there.map(({ path }) => path));
  return there
    .filter(({ path }) => wanted?.includes(path) ?? true)
    .map((file) => ({
      repo,
      commit,
      file,
      blob: join(repoFolder(repo), 'blobs', file.hash),
      link: join(repoFolder(repo), 'snapshots', commit, file.path),
    }));
}

const describe = ({ repo, file, link }: Planned, here: boolean): HubDownload => ({
  repo: repo.name,
  file: file.path,
  bytes: file.size,
  path: link,
  here,
});

function announcement(needs: readonly HubNeed[], missing: readonly Planned[]): string {
  const total = missing.reduce((sum, { file }) => sum + file.size, 0);
  const lines = missing.map(
    ({ repo, file }) => `  ${formatBytes(file.size).padStart(9)}  ${repo.name}/${file.path}`,
  );
  const count = `${missing.length} file${missing.length > 1 ? 's' : ''}`;
  return `${needs.map(({ by }) => by).join(' and ')}: ${count}, ${formatBytes(total)}, to be downloaded to ${hubCache()}\n${lines.join('\n')}`;
}

async function requireSpace(missing: readonly Planned[]): Promise<void> {
  const cache = hubCache();
  await mkdir(cache, { recursive: true }).catch((error) => {
    throw explainFileError(error, cache);
  });
  const { bavail, bsize } = await statfs(cache);
  const total = missing.reduce((sum, { file }) => sum + file.size, 0);
  if (total > bavail * bsize)
    throw new UserError(
      `${cache}: ${formatBytes(total)} are to be downloaded, ${formatBytes(bavail * bsize)} are free. HF_HOME names another place.`,
    );
}
