import { z } from 'zod';
import { defineModel } from './contract.ts';
import { embedding, transformer } from './layers.ts';
import { headsDivide, transformerSettings } from './settings.ts';

/** Self-attentive sequential recommendation (Kang and McAuley, 2018), with RecBole's settings and softmax loss. */
export default defineModel({
  name: 'sasrec',
  summary: 'SASRec: self-attention over learned item embeddings',
  input: 'id',
  config: z.strictObject(transformerSettings(64)).refine(headsDivide.check, headsDivide.message),
  build(config, { itemCount, maxHistory, parameters }) {
    const table = embedding(parameters, 'item', itemCount, config.hiddenSize, true);
    const encode = transformer(parameters, 'transformer', maxHistory, config);
    return {
      items: (items) => items.rows(table),
      sequence: (history, mode) => encode(history.vectors, history, mode),
    };
  },
});
