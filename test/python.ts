import { spawnSync } from 'node:child_process';
import { skipped } from './skip.ts';

/** The Python of `$REC_PYTHON`, else python3, where it can import the modules; else undefined, and the test's skipping is said. */
export function pythonWith(...modules: string[]): string | undefined {
  const python = process.env.REC_PYTHON || 'python3';
  if (spawnSync(python, ['-c', `import ${modules.join(', ')}`]).status === 0) return python;
  skipped(`${python} cannot import ${modules.join(', ')}`);
  return undefined;
}

/** What a script prints as JSON, given `input` as its first argument. */
export function askPython(python: string, script: string, input: string): unknown {
  const { status, stdout, stderr } = spawnSync(python, ['-c', script, input], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

/** What a Python file prints. @throws with its message */
export function runPython(python: string, file: string, args: readonly string[], input = ''): string {
  const env = { ...process.env, HF_HUB_OFFLINE: '1', TOKENIZERS_PARALLELISM: 'false' };
  const options = { encoding: 'utf8', input, env, maxBuffer: 1 << 28 } as const;
  const { status, stdout, stderr } = spawnSync(python, [file, ...args], options);
  if (status !== 0) throw new Error(stderr);
  return stdout;
}
