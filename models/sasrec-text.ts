import { z } from 'zod';
import { dropout, tf } from '../engine/index.ts';
import { defineModel } from './contract.ts';
import { dense, transformer } from './layers.ts';
import { headsDivide, rate, transformerSettings } from './settings.ts';

/** SASRec on frozen text vectors in place of learned item embeddings: the paper's "SASRec (Text)". */
export default defineModel({
  name: 'sasrec-text',
  summary: 'SASRec(Text): self-attention over projected text vectors',
  input: 'text',
  config: z
    .strictObject({
      ...transformerSettings(64),
      adaptorSize: z
        .int()
        .positive()
        .default(300)
        .describe('width of the hidden layer between text vectors and items'),
      adaptorDropout: rate(0.2).describe('dropout before each layer of the projection'),
    })
    .refine(headsDivide.check, headsDivide.message),
  build(config, { textDims, maxHistory, parameters }) {
    const widen = dense(parameters, 'adaptor.0', textDims, config.adaptorSize);
    const narrow = dense(parameters, 'adaptor.1', config.adaptorSize, config.hiddenSize);
    const encode = transformer(parameters, 'transformer', maxHistory, config);
    return {
      items({ text }, { training }) {
        const drop = (x: tf.Tensor) => (training ? dropout(x, config.adaptorDropout) : x);
        return narrow(drop(tf.relu(widen(drop(text))))) as tf.Tensor2D;
      },
      sequence: (history, mode) => encode(history.vectors, history, mode),
    };
  },
});
