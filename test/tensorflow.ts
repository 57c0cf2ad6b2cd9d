import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Progress } from '../common/progress.ts';
import { type Device, makeBinding, openDevice } from '../engine/index.ts';
import { skipped } from './skip.ts';

/** Where the binding for tests stays: compiling it takes ten seconds. */
const bindingCache = fileURLToPath(new URL('../node_modules/.cache/rec-test', import.meta.url));

/** The Python of `$REC_PYTHON`, else python3, where it has TensorFlow and there is a compiler; else undefined, and the skipping is said. */
export function pythonWithTensorflow(): string | undefined {
  const python = process.env.REC_PYTHON || 'python3';
  const find = "import importlib.util as u, sys; sys.exit(u.find_spec('tensorflow') is None)";
  if (spawnSync(python, ['-c', find]).status !== 0) skipped(`${python} has no TensorFlow`);
  else if (spawnSync('g++', ['--version']).status !== 0) skipped('there is no g++');
  else return python;
  return undefined;
}

/** Runs with the cache folder in which the tests' binding is, made at the first time. */
export async function withBinding<T>(python: string, run: () => T | Promise<T>): Promise<T> {
  const before = process.env.REC_CACHE;
  process.env.REC_CACHE = bindingCache;
  try {
    if (!isMade(python)) await makeBinding({ python }, new Progress());
    return await run();
  } finally {
    if (before === undefined) delete process.env.REC_CACHE;
    else process.env.REC_CACHE = before;
  }
}

function isMade(python: string): boolean {
  try {
    const setup = JSON.parse(readFileSync(`${bindingCache}/tensorflow/setup.json`, 'utf8'));
    return setup.python === python && existsSync(setup.binding);
  } catch {
    return false;
  }
}

/** The device 'tensorflow', or undefined where it cannot be here. */
export async function openTensorflow(): Promise<Device | undefined> {
  const python = pythonWithTensorflow();
  return python === undefined
    ? undefined
    : withBinding(python, () => openDevice('tensorflow', { threads: 1 }));
}
