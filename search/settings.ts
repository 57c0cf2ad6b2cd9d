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

/** How a pool is drawn where the files bring none: the `pool.*` keys. */
export const poolSettings = z.strictObject({
  perQuery: z
    .int()
    .nonnegative()
    .default(50)
    .describe("random items of the true item's domain that each query adds to the pool"),
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
