import { readFileSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { ensureWritableFolder } from '../common/files.ts';

/** Runs work that is alone in a folder. @throws UserError where another living process of this machine is at it */
export async function alone<T>(folder: string, work: () => Promise<T>): Promise<T> {
  await ensureWritableFolder(folder);
  const path = join(folder, 'lock');
  while (!(await isMade(path))) {
    const [host, pid, start] = (await readFile(path, 'utf8').catch(() => '')).split(' ');
    if (host === hostname() && isAlive(Number(pid)) && startOf(Number(pid)) === start)
      throw new UserError(`${folder}: process ${pid} is at work on this sweep`);
    await rm(path, { force: true });
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

/** False where the lock is there already. */
function isMade(path: string): Promise<boolean> {
  const { pid } = process;
  return writeFile(path, `${hostname()} ${pid} ${startOf(pid)}`, { flag: 'wx' }).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
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
