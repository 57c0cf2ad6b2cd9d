import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A sweep of small trainings on a dataset of `writeDataset`; every step may be written as a checkpoint. */
export function writeSweep(folder: string, dataset: string, { epochs = 30, more = '' } = {}): string {
  const path = join(folder, 'small.yaml');
  const text = `
base:
  run: { model: sasrec, dataset: ${JSON.stringify(dataset)} }
  model: { hiddenSize: 8, innerSize: 8 }
  train: { batchSize: 64, windows: rows, epochs: ${epochs}, patience: 100, checkpointSeconds: 0 }
  eval.topk: [5, 10]
${more || 'grid: { seed: [1, 2] }'}
`;
  writeFileSync(path, text);
  return path;
}

/** What a sweep came to, trial by trial: all of the results but times, memory and places. */
export function outcomes(folder: string): Record<string, unknown>[] {
  const { trials } = JSON.parse(readFileSync(join(folder, 'sweep.json'), 'utf8'));
  return trials.map((trial: { run: string }) => {
    const {
      timing: _t,
      peakRssMb: _m,
      run: _r,
      ...result
    } = JSON.parse(readFileSync(join(folder, trial.run, 'result.json'), 'utf8'));
    const best = readFileSync(join(folder, trial.run, 'best.safetensors')).toString('base64');
    return { ...trial, result, best, epochs: epochsOf(join(folder, trial.run)) };
  });
}

/** The epochs in metrics.jsonl, as they were written. */
export function epochsOf(run: string): number[] {
  const path = join(run, 'metrics.jsonl');
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
  return lines.map((line) => JSON.parse(line).epoch);
}

/** Run folders in a sweep's folder. */
export function runsIn(folder: string): string[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.map((name) => join(folder, name)).filter((path) => existsSync(join(path, 'log.txt')));
}

/** Processes that are at work on runs of a sweep, as the runs' folders name them. */
export function workingOn(folder: string): number[] {
  return runsIn(folder)
    .filter((run) => existsSync(join(run, 'owner')))
    .map((run) => Number(readFileSync(join(run, 'owner'), 'utf8').split(' ')[1]))
    .filter(isAlive);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}
