import { readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { ensureWritableFolder } from '../common/files.ts';

/** Runs work that is alone in a folder. @throws UserError where another living process of this machine is at it */
export async function alone<T>(folder: string, work: () => Promise<T>): Promise<T> {
  await ensureWritableFolder(folder);
  const path = join(folder, 'lock');
  const [host, pid] = (await readFile(path, 'utf8').catch(() => '')).split(' ');
  if (host === hostname() && isAlive(Number(pid)))
    throw new UserError(`${folder}: process ${pid} is at work on this sweep`);
  await writeFile(path, `${hostname()} ${process.pid}`);
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
