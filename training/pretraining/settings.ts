import { z } from 'zod';
import { computeSettings } from '../../configs/options.ts';

const rate = z.number().min(0).lt(1);

/** Settings of `rec pretrain`. */
export const pretrainingSettings = z.strictObject({
  pairs: z
    .string()
    .describe('a file of `rec data pairs`, or tab-separated with the columns review and metadata'),
  init: z
    .string()
    .default('scratch')
    .describe(
      "what training starts from: scratch, a folder of a checkpoint, 'org/name' of the hub, or the run folder of an earlier pretraining",
    ),
  model: z
    .strictObject({
      layers: z.int().positive().default(4),
      heads: z.int().positive().default(4),
      hiddenSize: z.int().positive().default(256),
      innerSize: z.int().positive().default(1024),
      vocabSize: z
        .int()
        .positive()
        .default(8192)
        .describe('of the byte-level BPE that is learned from the pairs'),
      maxPositions: z.int().min(8).default(514).describe('two more than the longest text in tokens'),
      dropout: rate.default(0.1).describe('of hidden states and attention weights'),
    })
    .refine(({ hiddenSize, heads }) => hiddenSize % heads === 0, 'hiddenSize must be a multiple of heads')
    .prefault({})
    .describe('a model made from scratch; a checkpoint brings its own'),
  objective: z
    .strictObject({
      contrastive: z
        .boolean()
        .default(true)
        .describe('false for masked language modelling alone (BLaIR-MLM)'),
      temperature: z.number().positive().default(0.05),
      mlmWeight: z.number().nonnegative().default(0.1).describe('lambda of masked language modelling'),
      mlmProbability: z.number().gt(0).lt(1).default(0.15).describe('share of the tokens that is masked'),
      pooling: z
        .enum(['cls', 'mean'])
        .default('cls')
        .describe('the vector of a text: of its first token, or the mean of its tokens'),
      pooler: z
        .enum(['tanh', 'none'])
        .default('tanh')
        .describe('a dense layer and tanh over that vector during training, which is dropped afterwards'),
    })
    .refine(({ contrastive, mlmWeight }) => contrastive || mlmWeight > 0, 'nothing is left to train on')
    .prefault({}),
  train: z
    .strictObject({
      batchSize: z
        .int()
        .min(2)
        .default(768)
        .describe('pairs a step; the others of a batch are its negatives'),
      epochs: z.int().positive().default(1),
      learningRate: z.number().positive().default(5e-5),
      warmup: rate
        .default(0)
        .describe('share of the steps in which the learning rate rises; then it falls to zero'),
      weightDecay: z.number().nonnegative().default(0),
      clipNorm: z.number().nonnegative().default(1).describe('largest norm of the gradients; 0 for any'),
      maxTokens: z.int().min(3).default(64).describe('texts are cut to so many tokens'),
      distinctItems: z.boolean().default(false).describe('no item is in a batch twice'),
      memoryMb: z
        .int()
        .positive()
        .default(4096)
        .describe(
          'memory of a step beside the model; batches that need more go part by part (gradient caching)',
        ),
      evalSteps: z.int().nonnegative().default(0).describe('steps between validations; 0: one an epoch'),
      keep: z
        .enum(['best', 'last'])
        .default('best')
        .describe('which checkpoint becomes the encoder: that of the least validation loss, or the last'),
      checkpointSeconds: z.number().nonnegative().default(300),
    })
    .prefault({}),
  dtype: z.enum(['f32', 'f16']).default('f32').describe('numbers of the encoder that is written'),
  seed: z.int().nonnegative().default(2020),
  ...computeSettings,
});

export type PretrainingSettings = z.output<typeof pretrainingSettings>;
