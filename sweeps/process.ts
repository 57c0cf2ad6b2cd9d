import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Cancelled, UserError } from '../common/errors.ts';

const rec = fileURLToPath(new URL('../cli/rec.js', import.meta.url));

/** How long a process that is asked to stop may take for its checkpoint, in milliseconds. */
const grace = 20_000;

/**
 * Runs a `rec` command as a process of its own, so that a crash is the command's alone; what it prints is added to
 * log.txt in `folder`. The process has a channel to this one and winds up when it closes: where this process dies, by
 * whatever cause, none is left running.
 * @throws Cancelled once the process, asked by the signal, has ended; UserError with what it said where it failed
 */
export async function runCommand(
  args: readonly string[],
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) throw new Cancelled();
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'log.txt');
  const log = await open(path, 'a');
  try {
    const { size } = await log.stat();
    const child = spawn(process.execPath, [rec, ...args], { stdio: ['ignore', log.fd, log.fd, 'ipc'] });
    const { code, killedBy } = await ended(child, signal);
    if (signal.aborted) throw new Cancelled();
    if (code !== 0)
      throw new UserError(explain((await readFile(path)).subarray(size).toString(), code, killedBy));
  } finally {
    await log.close();
  }
}

interface Ended {
  code: number | null;
  killedBy: NodeJS.Signals | null;
}

async function ended(child: ChildProcess, signal: AbortSignal): Promise<Ended> {
  let timer: NodeJS.Timeout | undefined;
  const stop = () => {
    if (child.connected) child.disconnect();
    timer = setTimeout(() => child.kill('SIGKILL'), grace);
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await new Promise<Ended>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, killedBy) => resolve({ code, killedBy }));
    });
  } finally {
    signal.removeEventListener('abort', stop);
    clearTimeout(timer);
  }
}

/** What a failed command said last. */
function explain(log: string, code: number | null, killedBy: NodeJS.Signals | null): string {
  const lines = log.trimEnd().split('\n');
  const failure = lines.findLast((line) => /^rec(: internal error)?: /.test(line))?.replace(/^rec: /, '');
  if (failure) return failure;
  const last = lines[lines.length - 1];
  const said = last ? `; it said last: ${last}` : '';
  if (killedBy === 'SIGKILL') return `the process was killed (SIGKILL), perhaps for want of memory${said}`;
  return `the process ended with ${killedBy ?? `exit code ${code}`}${said}`;
}
