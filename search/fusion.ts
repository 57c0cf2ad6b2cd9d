import { z } from 'zod';
import { type Hits, TopK } from './top-k.ts';

/** The `hybrid.*` keys of a configuration. */
export const hybridSettings = z.strictObject({
  weight: z
    .union([z.literal('auto'), z.number().min(0).max(1)])
    .default('auto')
    .describe(
      'share of dense in the merged rank, 0 to 1; auto: the best of 0, 0.1, ... 1 on validation queries, which are then left out of the result',
    ),
  validation: z
    .int()
    .positive()
    .default(500)
    .describe('auto: how many queries validate, drawn at random; half of all at most'),
  constant: z
    .number()
    .nonnegative()
    .default(60)
    .describe('added to every rank: the larger, the less the first places stand out'),
  depth: z.int().positive().default(1000).describe('length of the lists that are merged'),
});
export type HybridSettings = z.output<typeof hybridSettings>;

/**
 * Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009), weighted: an item's score is the sum of weight /
 * (constant + rank) over the two lists, ranks counting from 1; a list that lacks the item adds nothing.
 * @param weight of the dense list; the other one has 1 - weight
 */
export function fuse(sparse: Hits, dense: Hits, weight: number, constant: number, k: number): Hits {
  const scores = new Map<number, number>();
  const add = ({ items }: Hits, share: number) => {
    if (share === 0) return;
    items.forEach((item, i) => {
      scores.set(item, (scores.get(item) ?? 0) + share / (constant + i + 1));
    });
  };
  add(sparse, 1 - weight);
  add(dense, weight);
  const top = new TopK(k);
  for (const [item, score] of scores) top.offer(item, score);
  return top.take();
}
