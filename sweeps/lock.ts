import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { ensureWritableFolder, explainFileError, temporaryPath } from '../common/files.ts';
import { isAlive } from '../common/process.ts';

/**
 * Runs work that is alone in a folder. A lock that a dead process of this machine left is taken over.
 * @throws UserError where another process is at it, or one of another machine was and may still be
 */
export async function alone<T>(folder: string, work: () => Promise<T>): Promise<T> {
  await ensureWritableFolder(folder);
  const path = join(folder, 'lock');
  await take(path, folder);
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

/** Makes a lock file, which has all of its content as soon as it is there. */
async function take(path: string, folder: string): Promise<void> {
  const own = temporaryPath(path);
  await writeFile(own, `${hostname()} ${process.pid} ${startOf(process.pid)} ${randomUUID()}`);
  try {
    while (!(await isLinked(own, path))) {
      const left = await contentOf(path);
      if (left === undefined) continue;
      refuseWorking(left, path, folder);
      // Only who has this lock of the lock that was left may replace that one, so that of several only one does.
      const right = `${path}.${createHash('sha256').update(left).digest('hex').slice(0, 8)}`;
      await take(right, folder);
      if ((await contentOf(path)) === left) return await rename(right, path);
      await rm(right);
    }
  } catch (error) {
    throw explainFileError(error, path);
  } finally {
    await rm(own, { force: true });
  }
}

/** False where the lock is there already. */
function isLinked(own: string, path: string): Promise<boolean> {
  return link(own, path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );
}

/** Undefined where the file is not there. */
function contentOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

/** A lock without content is one that a machine lost as it went down. */
function refuseWorking(content: string, path: string, folder: string): void {
  const [host, pid, start] = content.split(' ');
  if (!host) return;
  if (host !== hostname())
    throw new UserError(
      `${folder}: locked by process ${pid} of the machine '${host}', which cannot be asked from here; if it no longer works on this sweep, remove ${path}`,
    );
  if (isAlive(Number(pid)) && startOf(Number(pid)) === start)
    throw new UserError(`${folder}: process ${pid} is at work on this sweep`);
}

/**
 * When a process began: after a restart another has its number, in a container always the same one. Empty where the
 * system has no /proc.
 */
function startOf(pid: number): string {
  try {
    // Field 22 (see proc(5)); the second one, in brackets, may hold anything.
    return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, '').split(' ')[20];
  } catch {
    return '';
  }
}
