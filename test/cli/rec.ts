import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { execute } from '../../cli/main.ts';

const rec = fileURLToPath(new URL('../../cli/rec.js', import.meta.url));

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Starts the command as a user does; `ended` resolves once it has. */
export function start(
  args: string[],
  env: NodeJS.ProcessEnv = {},
): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [rec, ...args], {
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  });
  const texts = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => (texts.stdout += data));
  child.stderr.on('data', (data) => (texts.stderr += data));
  const ended = new Promise<Ended>((resolve) => child.on('close', (code) => resolve({ code, ...texts })));
  return { child, ended };
}

/** Runs the command to its end. */
export function run(args: string[], env?: NodeJS.ProcessEnv): Promise<Ended> {
  return start(args, env).ended;
}

/** Runs a command in this process, which is quicker, with what it writes caught. */
export async function execHere(args: string[]): Promise<Ended> {
  const texts = { stdout: '', stderr: '' };
  const writes = { stdout: process.stdout.write, stderr: process.stderr.write };
  for (const name of ['stdout', 'stderr'] as const) {
    process[name].write = (text: string | Uint8Array) => {
      texts[name] += text;
      return true;
    };
  }
  try {
    const code = await execute(args);
    return { code, ...texts };
  } finally {
    process.stdout.write = writes.stdout;
    process.stderr.write = writes.stderr;
  }
}
