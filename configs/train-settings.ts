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
  type: z.enum(['full']).default('full').describe('softmax cross-entropy over all items'),
});
export type LossSettings = z.output<typeof lossSettings>;
