import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { UserError } from '../common/errors.ts';
import { hashFile, readJson } from '../common/files.ts';
import type { Progress } from '../common/progress.ts';
import type { EpochRecord } from './checkpoint.ts';
import { type Environment, environmentChanges } from './environment.ts';
import { readEpochs } from './epochs.ts';
import { runExperiment } from './index.ts';
import { RANKS_FILE, readRanks, type TestRanks } from './ranks.ts';
import { readResult } from './result-file.ts';
import { RunFolder } from './run-folder.ts';

/**
 * What a run may differ by where something of the environment differs that decides the last bits of numbers. Rounding is all that
 * differs at first, so the first epoch's loss is near; training then carries the paths apart, as another seed would, so that
 * metrics are only alike.
 */
export const TOLERANCE = {
  /** Of the first epoch's loss, relative. */
  loss: 1e-3,
  /** Of a test metric: relative, or absolute, whichever allows more. */
  metric: 0.1,
  metricAtLeast: 0.005,
} as const;

/** A run beside its repetition. */
export interface Rerun {
  before: string;
  after: string;
  /** What differs of the environment, of all that decides the last bits of numbers. */
  changed: string[];
  /** What of the two is not the same to the last bit. */
  differences: string[];
  identical: boolean;
  /** Whether it is as near as it must be: identical where nothing of the environment changed, else within the tolerance. */
  repeated: boolean;
  /** First epoch's training loss (none for a baseline), and test metrics. */
  figures: { name: string; before: number; after: number; within: boolean }[];
}

/**
 * Repeats a finished run from its folder, in a new one beside the others in `runs`, and compares the two.
 * @throws UserError where the run has no result, or its dataset or text vectors are not what they were
 */
export async function rerunExperiment(
  { folder, runs }: { folder: string; runs: string },
  progress: Progress,
): Promise<Rerun> {
  const before = RunFolder.open(folder);
  if (!existsSync(before.file('result.json')))
    throw new UserError(
      `${before.shown}: it is not finished, so there is nothing to compare with; go on with it by --resume`,
    );
  // What cannot be compared with is found before the work.
  await outcomeOf(before);
  const { run } = await runExperiment(
    { set: [], ...before.recipe(), runs, inputsAsIn: before.path },
    progress,
  );
  return compareRuns(before, new RunFolder(resolve(run)));
}

/** Compares two finished runs of one recipe. */
export async function compareRuns(before: RunFolder, after: RunFolder): Promise<Rerun> {
  const [one, two] = await Promise.all([before, after].map(outcomeOf));
  const changed = environmentChanges(one.environment, two.environment);
  const differences = [
    ...differenceOfEpochs(one.epochs, two.epochs),
    ...(one.parameters === two.parameters ? [] : ['the best epoch has other parameters']),
    ...differenceOfRanks(one.ranks, two.ranks),
    ...(JSON.stringify(one.metrics) === JSON.stringify(two.metrics) ? [] : ['metrics differ']),
  ];
  const near = (a: number, b: number, relative: number, least = 0) =>
    Math.abs(a - b) <= Math.max(relative * Math.abs(a), least);
  const figures = [
    ...one.epochs.slice(0, 1).map(({ loss }) => {
      const other = two.epochs[0]?.loss ?? Number.NaN;
      return {
        name: 'training loss, epoch 1',
        before: loss,
        after: other,
        within: near(loss, other, TOLERANCE.loss),
      };
    }),
    ...Object.entries(one.metrics.test)
      .filter(([name]) => /^(recall|ndcg|mrr)@/.test(name))
      .map(([name, value]) => {
        const other = two.metrics.test[name] ?? Number.NaN;
        const within = near(value, other, TOLERANCE.metric, TOLERANCE.metricAtLeast);
        return { name: `test ${name}`, before: value, after: other, within };
      }),
  ];
  const identical = differences.length === 0;
  return {
    before: before.shown,
    after: after.shown,
    changed,
    differences,
    identical,
    repeated: identical || (changed.length > 0 && figures.every(({ within }) => within)),
    figures,
  };
}

async function outcomeOf(folder: RunFolder) {
  const { valid, test, epochs } = await readResult(folder.path);
  return {
    environment: await readJson<Environment>(folder.file('environment.json')),
    epochs: await readEpochs(folder.path),
    metrics: { valid, test, epochs },
    parameters: existsSync(folder.best) ? await hashFile(folder.best) : undefined,
    ranks: await readRanks(folder.file(RANKS_FILE)),
  };
}

/** All but times. */
const essence = ({ epoch, loss, valid, learningRate }: EpochRecord) =>
  JSON.stringify([epoch, loss, valid, learningRate]);

function differenceOfEpochs(before: readonly EpochRecord[], after: readonly EpochRecord[]): string[] {
  const first = before.findIndex((record, i) => !after[i] || essence(record) !== essence(after[i]));
  if (first >= 0) return [`loss or validation metrics differ from epoch ${first + 1} on`];
  return before.length === after.length ? [] : [`${before.length} epochs before, ${after.length} now`];
}

function differenceOfRanks({ kept: before }: TestRanks, { kept: after }: TestRanks): string[] {
  const others = before.filter((rank, row) => rank !== after[row]).length;
  return others ? [`${others} of ${before.length} test rows have another rank`] : [];
}
