import { z } from 'zod';

/** How a model is trained; defaults are the paper's. */
export const trainSettings = z.strictObject({
  batchSize: z.int().positive().default(2048).describe('target rows of one optimizer step'),
  epochs: z.int().positive().default(300).describe('most passes over the training rows'),
  patience: z
    .int()
    .nonnegative()
    .default(10)
    .describe('epochs without a better validation metric that are borne; the next one stops the training'),
  metric: z.string().default('ndcg@10').describe('validation metric that picks the best epoch'),
  optimizer: z
    .enum(['adam', 'adamw'])
    .default('adam')
    .describe('adamw decouples weight decay from the gradient'),
  learningRate: z.number().positive().default(1e-3).describe('step size of the optimizer'),
  weightDecay: z
    .number()
    .nonnegative()
    .default(0)
    .describe('adamw: share of the weights taken off a step, times the learning rate'),
  clipNorm: z.number().nonnegative().default(0).describe('largest L2 norm of the gradient; 0 does not clip'),
  schedule: z
    .enum(['constant', 'linear', 'cosine'])
    .default('constant')
    .describe('course of the learning rate after the warm-up'),
  warmupSteps: z
    .int()
    .nonnegative()
    .default(0)
    .describe('steps over which the learning rate rises from zero'),
  windows: z
    .enum(['auto', 'rows', 'grouped'])
    .default('auto')
    .describe(
      'a sample a row, or one causal pass for all rows of a sequence (the same loss); auto takes the cheaper',
    ),
  parts: z
    .int()
    .nonnegative()
    .max(64)
    .default(0)
    .describe(
      'parts of a batch that are computed side by side, a thread each; 0: two for models of ids that are small, or whose loss is sampled, else one',
    ),
  textStorage: z
    .enum(['f32', 'f16'])
    .default('f32')
    .describe(
      'how frozen text vectors are held; f16 rounds them, takes half the memory, and computes in f32',
    ),
  maxHistory: z.int().positive().default(50).describe('latest items of a history that a model sees'),
  checkpointSeconds: z
    .number()
    .nonnegative()
    .default(20)
    .describe('least time between two checkpoints to resume from'),
  init: z
    .string()
    .default('')
    .describe('a run folder or safetensors file whose equally named parameters are the start'),
});
export type TrainSettings = z.output<typeof trainSettings>;

/** The framework's loss. */
export const lossSettings = z.strictObject({
  type: z
    .enum(['full', 'sampled'])
    .default('full')
    .describe('softmax cross-entropy over all items, or over the target and some negatives'),
  negatives: z
    .int()
    .positive()
    .default(1024)
    .describe('sampled: items drawn a step, shared by all of its rows'),
  sampling: z
    .enum(['uniform', 'popularity', 'batch'])
    .default('uniform')
    .describe(
      "sampled: how negatives are drawn: all items alike, by training count^popularityExponent, or the batch's own targets",
    ),
  popularityExponent: z
    .number()
    .min(0)
    .max(1)
    .default(0.75)
    .describe('sampled, popularity: 0 draws all items of the training rows alike, 1 by their counts'),
  logQ: z
    .boolean()
    .default(true)
    .describe(
      "sampled: subtract from a negative's score the logarithm of how often it is expected among the negatives, so that they stand for all items",
    ),
  similarity: z
    .enum(['model', 'dot', 'cosine'])
    .default('model')
    .describe("how vectors are compared, in training and in ranking; model: as the model's definition says"),
  temperature: z
    .number()
    .nonnegative()
    .default(0)
    .describe("scores are divided by it; 0: the model's own, which is 1 where it has none"),
});
export type LossSettings = z.output<typeof lossSettings>;
