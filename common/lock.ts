import { mkdir, open, rm, stat, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A lock is renewed this often, and one that has not been for `stale` is of a process that is gone. Milliseconds. */
const RENEW = 2000;
const STALE = 10_000;

/**
 * Runs `work` while no other process does so under the same lock file; `waiting` is called as long as one does, and
 * may throw to give up. Spares double work; what must never happen twice needs more than this, since a process that
 * was suspended for ten seconds loses its lock.
 */
export async function withLock<T>(path: string, waiting: () => void, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  while (!(await tryLock(path))) {
    waiting();
    await sleep(200);
  }
  const renewal = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), RENEW);
  try {
    return await work();
  } finally {
    clearInterval(renewal);
    await rm(path, { force: true });
  }
}

async function tryLock(path: string): Promise<boolean> {
  const held = await stat(path).catch(() => undefined);
  if (held && Date.now() - held.mtimeMs > STALE) await rm(path, { force: true });
  try {
    await (await open(path, 'wx')).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
