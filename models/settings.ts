import { z } from 'zod';

/** Settings of the transformer that SASRec, SASRec(Text) and UniSRec share; defaults are RecBole's and the paper's. */
export const transformerSettings = (hiddenSize: number) => ({
  hiddenSize: z.int().positive().default(hiddenSize).describe('width of item and sequence vectors'),
  innerSize: z.int().positive().default(256).describe('width of the feed-forward layers'),
  layers: z.int().positive().default(2).describe('number of transformer blocks'),
  heads: z.int().positive().default(2).describe('attention heads; must divide hiddenSize'),
  hiddenDropout: rate(0.5).describe('dropout after embeddings, attention and feed-forward layers'),
  attentionDropout: rate(0.5).describe('dropout of attention weights'),
});

/** A probability below one. */
export const rate = (value: number) => z.number().min(0).lt(1).default(value);

/** Refuses head counts that do not divide the hidden size. */
export const headsDivide = {
  check: ({ hiddenSize, heads }: { hiddenSize: number; heads: number }) => hiddenSize % heads === 0,
  message: { message: 'model.heads must divide model.hiddenSize', path: ['heads'] },
};
