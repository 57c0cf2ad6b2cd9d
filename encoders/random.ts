import { z } from 'zod';
import { hashJson } from '../common/files.ts';
import { seeded } from '../common/random.ts';
import { defineEncoder, type TextEncoder } from './contract.ts';

const blockRows = 4096;

/** Gaussian vectors that know nothing of the texts: what a text encoder has to beat, and a stand-in for measurements. */
export default defineEncoder({
  name: 'random',
  summary: 'random vectors, one an item, that ignore its text; a yardstick',
  config: z.strictObject({
    dims: z.int().min(1).max(4096).default(768).describe('width of a vector'),
    scale: z.number().positive().default(0.5).describe('standard deviation of its elements'),
    seed: z.int().nonnegative().default(1).describe('another seed gives other vectors'),
  }),
  async open(settings, { progress }) {
    const { dims, scale, seed } = settings;
    const encoder: TextEncoder = {
      dims,
      fingerprint: hashJson({ encoder: 'random', ...settings }),
      rowsDependOn: 'position',
      async embed(texts, onRows) {
        for (let first = 0; first < texts.length; first += blockRows) {
          progress.check();
          const random = seeded(seed, 'random vectors', first);
          const values = new Float32Array(Math.min(blockRows, texts.length - first) * dims);
          for (let i = 0; i < values.length; i++) values[i] = scale * random.normal();
          await onRows(first, values);
        }
      },
      async close() {},
    };
    return encoder;
  },
});
