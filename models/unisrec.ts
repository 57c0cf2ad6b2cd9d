import { z } from 'zod';
import { l2Normalize, tf } from '../engine/index.ts';
import { defineModel, type History, type Items, type Mode } from './contract.ts';
import { contrastiveLoss } from './contrastive.ts';
import { embedding, transformer } from './layers.ts';
import { mixtureOfExperts } from './mixture-of-experts.ts';
import { headsDivide, rate, transformerSettings } from './settings.ts';

/** UniSRec (Hou et al., 2022): a mixture-of-experts adaptor over frozen text vectors, compared by cosine. */
export default defineModel({
  name: 'unisrec',
  summary: 'UniSRec: mixture-of-experts adaptor over text vectors, universal sequence representations',
  input: 'text',
  config: z
    .strictObject({
      ...transformerSettings(300),
      stage: z
        .enum(['inductive', 'transductive', 'pretrain'])
        .default('inductive')
        .describe('text only (the paper) | text plus learned item embeddings | contrastive pre-training'),
      experts: z.int().positive().default(8).describe('experts of the adaptor; all are mixed'),
      adaptorDropout: rate(0.2).describe('dropout of the text vectors'),
      adaptor: z
        .enum(['shared', 'separate'])
        .default('shared')
        .describe(
          'shared: run once over the catalogue, histories gather their rows | separate: run again for histories, with ' +
            'a mask for every expert, as the official code does (slower)',
        ),
      temperature: z.number().positive().default(0.07).describe('cosines are divided by it'),
      contrastWeight: z
        .number()
        .min(0)
        .default(1e-3)
        .describe('pretrain: weight of the sequence-sequence loss'),
      dropItems: rate(0.2).describe('pretrain: share of items dropped from the augmented view'),
      dropWords: rate(0).describe(
        'pretrain: share of words dropped from the texts of the augmented view; 0 drops items only',
      ),
      freezeSequence: z
        .boolean()
        .default(false)
        .describe('keep the transformer as initialised (train.init), train the rest'),
    })
    .refine(headsDivide.check, headsDivide.message),
  build(config, { itemCount, textDims, maxHistory, parameters }) {
    const { hiddenSize, stage, temperature } = config;
    const adapt = mixtureOfExperts(parameters, textDims, config);
    const ids =
      stage === 'transductive' ? embedding(parameters, 'item', itemCount, hiddenSize, true) : undefined;
    const encode = transformer(parameters, 'transformer', maxHistory, config);
    if (config.freezeSequence) parameters.freeze('transformer.');

    const items = (source: Items, mode: Mode) => {
      const fromText = adapt(source.text, mode);
      return ids ? (tf.add(fromText, source.rows(ids)) as tf.Tensor2D) : fromText;
    };
    const sequence = (history: History, mode: Mode) => {
      const { batch, length } = history;
      const own = config.adaptor === 'separate' && mode.training;
      const vectors = own
        ? tf.reshape(items(history.items, mode), [batch, length, hiddenSize])
        : history.vectors;
      return encode(vectors as tf.Tensor3D, history, mode);
    };
    if (stage !== 'pretrain') return { items, sequence, similarity: 'cosine', temperature };
    return {
      items,
      sequence,
      similarity: 'cosine',
      temperature,
      augmentation: { dropItems: config.dropItems, dropWords: config.dropWords },
      // Sequence-item contrast + contrastWeight x sequence-sequence contrast (Hou et al., eq. 7-9).
      loss({ history, augmented, targets, targetIds, weight }, mode) {
        const last = (h: History) =>
          l2Normalize(tf.reshape(sequence(h, mode), [h.batch, hiddenSize]) as tf.Tensor2D);
        const h = last(history);
        const candidates = l2Normalize(items(targets, mode));
        const contrast = (other: tf.Tensor2D) => contrastiveLoss(h, other, targetIds, weight, temperature);
        return tf.add(
          contrast(candidates),
          tf.mul(contrast(last(augmented)), config.contrastWeight),
        ) as tf.Scalar;
      },
    };
  },
});
