import { z } from 'zod';

/** t1 and t2 of the paper's absolute-timestamp split, in ms since 1970 (section 3.1; official benchmark scripts). */
export const paperTimestamps: readonly [number, number] = [1628643414042, 1658002729837];

/** How a source becomes a prepared dataset: the `data.*` keys of a configuration. */
export const dataSettings = z.strictObject({
  split: z
    .enum(['auto', 'files', 'leave-last-out', 'timestamp'])
    .default('auto')
    .describe(
      "auto: the files' own split where they are split already, else leave-last-out. leave-last-out: a user's last item is tested, the one before validates. timestamp: by the two times of data.timestamps",
    ),
  timestamps: z
    .tuple([z.int().nonnegative(), z.int().nonnegative()])
    .default([...paperTimestamps])
    .refine(([t1, t2]) => t1 < t2, 'the first time must be before the second')
    .describe('t1 and t2 in ms since 1970: train < t1 <= valid < t2 <= test'),
  kcore: z
    .int()
    .nonnegative()
    .default(0)
    .describe(
      'keep only users and items with at least this many interactions, repeated until stable; 0 keeps all',
    ),
  dedupe: z
    .boolean()
    .default(true)
    .describe('of several interactions of one user with one item keep the earliest'),
  ties: z
    .enum(['file', 'random'])
    .default('file')
    .describe('the order of interactions with equal timestamps: as in the file, or random by seed'),
  text: z
    .enum(['recommendation', 'unicode', 'search', 'pretraining'])
    .default('recommendation')
    .describe(
      'item text. recommendation: title, features, categories, description, of which characters beyond ASCII are removed, as by the paper. unicode: the same in all scripts. search: title, description. pretraining: title, features, description',
    ),
  strict: z
    .boolean()
    .default(false)
    .describe('fail at the first row that cannot be read, instead of counting it in the manifest'),
  memoryGB: z
    .number()
    .min(0.1)
    .default(1)
    .describe('memory that preparing may use for tables, in GB; what does not fit goes to data.tempFolder'),
  tempFolder: z
    .string()
    .optional()
    .describe('where preparing puts what does not fit into memory; by default beside the prepared dataset'),
});

export type DataSettings = z.output<typeof dataSettings>;
