import { z } from 'zod';
import { targetCounts } from '../data/counts.ts';
import { defineBaseline } from './contract.ts';

/** The simplest recommender: everyone gets the items that were training targets most often. */
export default defineBaseline({
  name: 'popularity',
  summary: 'Popularity: the most frequent training targets, the same for everyone; no training',
  config: z.strictObject({}),
  fit: (_config, { train, itemCount }) => ({ base: Float32Array.from(targetCounts(train, itemCount)) }),
});
