import { z } from 'zod';
import { paperTimestamps } from '../settings.ts';

const share = z.number().min(0).max(1);

/** How reviews and metadata become pretraining pairs: the `pairs.*` keys of `rec data pairs`. */
export const pairSettings = z.strictObject({
  before: z
    .int()
    .positive()
    .default(paperTimestamps[0])
    .describe('reviews at or after this time (ms since 1970; the split time t1) never become pairs'),
  longerThan: z
    .int()
    .nonnegative()
    .default(30)
    .describe('a review and its item text have more characters than this'),
  sample: share.default(1).describe('share of the reviews that is taken; the paper takes 0.1'),
  clean: z
    .boolean()
    .default(false)
    .describe('remove HTML from texts, as item texts for recommendation are cleaned; the paper keeps it'),
  valid: share.default(0.05).describe('share of the users whose pairs only validate'),
  test: share.default(0.05).describe('share of the users whose pairs are only for testing'),
  seed: z.int().nonnegative().default(2020).describe('seeds the sampling and the choice of users'),
  strict: z.boolean().default(false).describe('fail at the first row that cannot be read'),
});

export type PairSettings = z.output<typeof pairSettings>;
