import { z } from 'zod';

/** How rows are ranked and what is counted: the `eval.*` keys of a configuration. */
export const evalSettings = z.strictObject({
  topk: z
    .array(z.int().positive())
    .min(1)
    .default([10, 50])
    .describe('list lengths k of recall@k, ndcg@k and the other metrics'),
  filterSeen: z
    .boolean()
    .default(false)
    .describe(
      "true: items of a row's own history do not compete with its target. The paper and RecBole leave them in; results under both rules are always recorded",
    ),
  batchSize: z
    .int()
    .positive()
    .default(256)
    .describe('rows ranked at once; whole scores are never held of more than 32 MiB'),
});

export type EvalSettings = z.output<typeof evalSettings>;
