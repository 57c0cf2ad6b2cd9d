import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../common/errors.ts';
import { readJson } from '../common/files.ts';
import type { RunResult } from './result.ts';

const metrics = z.record(z.string(), z.number());

/** How any training ended, a pretraining's too. */
const outcome = z.looseObject({
  epochs: z.looseObject({ stop: z.string() }),
  valid: metrics,
  test: metrics.optional(),
});
export type Outcome = z.output<typeof outcome>;

const figures = z.looseObject({
  test: metrics,
  byPopularity: z.record(z.string(), z.looseObject({ rows: z.number(), metrics })),
});

/** What is read of a run's result: a file of another's making must have it, too. */
const runResult = figures.extend({
  valid: metrics,
  model: z.string(),
  dataset: z.string(),
  encoder: z.string().nullable(),
  seed: z.number(),
  epochs: z.looseObject({ run: z.number(), best: z.number(), stop: z.string() }),
  rows: z.looseObject({ train: z.number(), valid: z.number(), test: z.number() }),
  items: z.number(),
  protocol: z.looseObject({ filterSeen: z.boolean() }),
  baselines: z.record(z.string(), figures),
  timing: z.looseObject({
    trainSecondsPerEpoch: z.number(),
    evalRowsPerSecond: z.number(),
    totalSeconds: z.number(),
  }),
  peakRssMb: z.number(),
});

/** How the training in a folder ended. @throws UserError where the file is damaged */
export const readOutcome = (folder: string): Promise<Outcome> => read(folder, outcome);

/** The result of a run. @throws UserError where the file is damaged */
export const readResult = async (folder: string): Promise<RunResult> =>
  (await read(folder, runResult)) as unknown as RunResult;

async function read<T>(folder: string, schema: z.ZodType<T>): Promise<T> {
  const path = join(folder, 'result.json');
  const refuse = (why: string): never => {
    throw new UserError(`${why}. Remove the file, and resume the run: it is written anew`);
  };
  const parsed = schema.safeParse(await readJson<unknown>(path).catch((error) => refuse(error.message)));
  if (parsed.success) return parsed.data;
  const { path: key, message } = parsed.error.issues[0];
  return refuse(`${path}: not a result: ${key.length ? `${key.join('.')}: ` : ''}${message}`);
}
