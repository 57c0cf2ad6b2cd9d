import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EpochRecord } from '../training/checkpoint.ts';
import type { RunResult } from '../training/index.ts';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** The folder of a dataset of the shared data. @throws Error where it is not there */
export function sharedData(name: string): string {
  const folder = join(root, '../shared/data', name);
  if (!existsSync(folder)) throw new Error(`${folder} is not there: this bench needs the shared data`);
  return folder;
}

/** A finished run and its epochs (metrics.jsonl). */
export interface Run {
  result: RunResult;
  epochs: EpochRecord[];
}

/** Runs `rec run` with these arguments, as a user would; its folder does not outlive it. */
export async function runOnce(args: readonly string[]): Promise<Run> {
  const runs = await mkdtemp(join(tmpdir(), 'rec-bench-'));
  try {
    const output = execFileSync(
      process.execPath,
      ['cli/rec.js', 'run', ...args, '--runs', runs, '--json', '--quiet'],
      { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const result = JSON.parse(output) as RunResult;
    // The run's path is relative to where the command ran.
    const lines = await readFile(join(resolve(root, result.run), 'metrics.jsonl'), 'utf8');
    const epochs = lines.trimEnd().split('\n');
    return { result, epochs: epochs.map((line) => JSON.parse(line) as EpochRecord) };
  } finally {
    await rm(runs, { recursive: true, force: true });
  }
}
