import { defineEncoder, hashJson, z } from 'rec';

/** Texts to vectors by code of your own: an embedding service, another library, features by hand. */
export default defineEncoder({
  name: 'my-encoder',
  summary: 'counts of hashed three-letter pieces',
  config: z.strictObject({ dims: z.int().positive().default(64).describe('width of a vector') }),
  async open({ dims }) {
    return {
      dims,
      // Vectors are cached under it: all that decides them besides the text.
      fingerprint: hashJson({ encoder: 'my-encoder', version: 1, dims }),
      // 'text': a vector depends on its own text alone; 'corpus': on all texts, as after a fit.
      rowsDependOn: 'text',
      async embed(texts, onRows) {
        let row = 0;
        for (const text of texts) {
          const vector = new Float32Array(dims);
          for (let i = 0; i + 3 <= text.length; i++) {
            let hash = 0;
            for (const letter of text.slice(i, i + 3)) hash = (31 * hash + letter.charCodeAt(0)) % 1_000_003;
            vector[hash % dims] += 0.1;
          }
          // Blocks of any number of rows, in order.
          await onRows(row++, vector);
        }
      },
      async close() {},
    };
  },
});
