import { z } from 'zod';
import { type Bm25Settings, bm25Settings } from './bm25/bm25.ts';
import { type DenseOptions, denseSettings } from './dense/dense.ts';
import { type HybridSettings, hybridSettings } from './fusion.ts';

/** How items are searched and what is counted: the `search.*` keys. */
export const searchSettings = z.strictObject({
  method: z
    .enum(['bm25', 'dense', 'hybrid'])
    .default('bm25')
    .describe('by words, by vectors of an encoder, or by both lists merged'),
  topk: z
    .array(z.int().positive())
    .min(1)
    .default([10, 100])
    .describe('list lengths k of ndcg@k, recall@k and mrr@k; lists are as long as the longest'),
});
export type SearchSettings = z.output<typeof searchSettings>;

/** How queries and pool are made where the files bring none: the `pool.*` keys. */
export const poolSettings = z.strictObject({
  perQuery: z
    .int()
    .nonnegative()
    .default(50)
    .describe("random items of the true item's domain that each query adds to the pool"),
  labels: z
    .enum(['exact', 'graded'])
    .default('exact')
    .describe(
      'ESCI: a query for each pair labelled Exact, as the paper; or each query once, with the gains Exact 100, Substitute 10, Complement 1',
    ),
  queries: z.int().positive().default(22_000).describe('reviews as queries: how many are drawn, at most'),
  minRating: z.number().default(5).describe('reviews as queries: least stars, where a file tells them'),
  minLength: z.int().nonnegative().default(100).describe('reviews as queries: least characters of a text'),
  after: z
    .int()
    .nonnegative()
    .default(0)
    .describe('reviews as queries: written at or after this time, in ms since 1970'),
  strict: z
    .boolean()
    .default(false)
    .describe('fail at the first row that cannot be read, instead of counting it'),
});
export type PoolSettings = z.output<typeof poolSettings>;

/** The sections of a configuration that `rec search` knows besides those of data and encoder. */
export const searchSections = {
  search: searchSettings,
  bm25: bm25Settings,
  dense: denseSettings,
  hybrid: hybridSettings,
  pool: poolSettings,
};

/** What decides a search. */
export interface SearchConfig extends DenseOptions {
  search: SearchSettings;
  bm25: Bm25Settings;
  hybrid: HybridSettings;
}
