import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { UserError } from '../common/errors.ts';
import { explainFileError } from '../common/files.ts';
import { withLock } from '../common/lock.ts';
import type { Progress } from '../common/progress.ts';
import { type HubRepo, hasSize } from './cache.ts';
import type { HubClient, HubFile } from './client.ts';
import { HubRefusal, HubUnreachable } from './faults.ts';
import { TRIES } from './request.ts';

/** A file to be downloaded: of a repository's commit, to this path. */
export interface Wanted {
  repo: HubRepo;
  commit: string;
  file: HubFile;
  blob: string;
}

/**
 * Downloads a file by way of `blob`.incomplete: what lies there already is not fetched again, a body that breaks off
 * is taken up at the byte where it ended, and the blob's name is given only to the right number of bytes with the
 * right hash. Of several processes one downloads, the others wait for it.
 * @throws UserError where the hub cannot be reached, or sends twice what differs from what it says it has.
 */
export async function downloadBlob(client: HubClient, wanted: Wanted, progress: Progress): Promise<void> {
  const { repo, file, blob } = wanted;
  const incomplete = `${blob}.incomplete`;
  let said = false;
  const waiting = () => {
    if (!said) progress.note(`${file.path}: another process downloads it; waiting`);
    said = true;
    progress.check();
  };
  await withLock(`${incomplete}.lock`, waiting, async () => {
    if (hasSize(blob, file.size)) return;
    let problem = await receive(client, wanted, incomplete, progress);
    if (problem) {
      progress.warning(`${file.path}: ${problem}; it is fetched again from its beginning`);
      problem = await receive(client, wanted, incomplete, progress);
    }
    if (problem)
      throw new UserError(`${repo.name}: ${file.path}: ${problem}, twice in a row; nothing was kept.`);
    await rename(incomplete, blob);
  });
}

/** Completes the file at `path`; what is wrong with it, if anything is, in words, the file being removed then. */
async function receive(
  client: HubClient,
  { repo, commit, file }: Wanted,
  path: string,
  progress: Progress,
): Promise<string | undefined> {
  let { hash, done } = await readBeginning(path, file, progress);
  progress.begin(`download ${basename(file.path)}`, 'bytes', file.size, done);
  const out = await open(path, 'a');
  try {
    for (let idle = 0, furthest = done; done < file.size; ) {
      const { response, body } = await client.bytes(repo, commit, file, done);
      if (done && response.status !== 206) {
        // The rest cannot be had alone: this is the whole.
        await out.truncate(0);
        hash = hashFor(file);
        done = 0;
      }
      try {
        for await (const chunk of body()) {
          await out.writeFile(chunk);
          hash.update(chunk);
          done += chunk.length;
          progress.advance(done);
        }
        if (done < file.size) throw new HubUnreachable(`the hub sent ${done} of ${file.size} bytes`);
      } catch (error) {
        idle = done > furthest ? 1 : idle + 1;
        furthest = Math.max(done, furthest);
        if (!(error instanceof HubUnreachable) || idle === TRIES) throw error;
        await client.requests.wait(idle);
      }
    }
    await out.sync();
  } catch (error) {
    // Asked for what comes after the end.
    if (!(error instanceof HubRefusal && error.status === 416)) throw explainFileError(error, path);
  } finally {
    progress.end();
    await out.close();
  }
  const digest = hash.digest('hex');
  if (done === file.size && digest === file.hash) return undefined;
  await rm(path);
  return done === file.size
    ? `the bytes have the hash ${digest}, not ${file.hash}`
    : `it has ${done} bytes, not ${file.size}`;
}

/** The hash of what an earlier download left, and how many bytes that are. */
async function readBeginning(
  path: string,
  file: HubFile,
  progress: Progress,
): Promise<{ hash: Hash; done: number }> {
  const hash = hashFor(file);
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  if (size > file.size) {
    await rm(path);
    return { hash, done: 0 };
  }
  let done = 0;
  if (size) {
    progress.begin(`check what is here of ${basename(file.path)}`, 'bytes', size);
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      hash.update(chunk as Buffer);
      done += (chunk as Buffer).length;
      progress.advance(done);
    }
    progress.end();
  }
  return { hash, done };
}

/** The kind of hash that the hub gives for a file: plain SHA-256, or SHA-1 as git makes it of a blob. */
function hashFor({ hash, size }: HubFile): Hash {
  return hash.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}
