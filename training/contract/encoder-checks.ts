import { Progress } from '../../common/progress.ts';
import { MadeTexts } from '../../common/texts.ts';
import { type EncoderDefinition, openEncoder } from '../../encoders/index.ts';
import type { Check } from './model-checks.ts';
import { distance, ensure } from './vectors.ts';

const texts = ['oak chair', 'red tea pot', 'a wool hat, and a scarf', 'oak table', 'blue tea cup', 'chair'];

/** What every encoder must keep, with default settings. */
export function encoderChecks(definition: EncoderDefinition): Check[] {
  const encode = async (wanted: readonly string[]) => {
    const context = { seed: 1, threads: 1, progress: new Progress(), rows: wanted.length };
    const encoder = await openEncoder(definition, definition.name, definition.config.parse({}), context);
    try {
      const { dims, fingerprint, rowsDependOn } = encoder;
      const values = new Float32Array(wanted.length * dims);
      // As a dataset has them: not an array, but texts to be asked for one by one.
      const given = new MadeTexts(wanted.length, (i) => wanted[i]);
      await encoder.embed(given, async (first, block) => {
        values.set(block, first * dims);
      });
      return { values, dims, fingerprint, rowsDependOn };
    } finally {
      await encoder.close();
    }
  };
  return [
    {
      name: 'rows',
      rule: 'a finite vector a text, in order, none twice',
      basic: true,
      async run() {
        await encode(texts);
      },
    },
    {
      name: 'determinism',
      rule: 'opened again, it gives the same vectors under the same fingerprint',
      async run() {
        const [one, two] = [await encode(texts), await encode(texts)];
        ensure(distance(one.values, two.values) === 0, 'the same texts have other vectors the second time');
        ensure(
          typeof one.fingerprint === 'string' && one.fingerprint === two.fingerprint,
          'fingerprint must be a text that depends on settings and weights only: vectors are cached by it',
        );
      },
    },
    {
      name: 'dependence',
      rule: "where rowsDependOn is 'text', the other texts change nothing",
      async run() {
        const { values, dims, rowsDependOn } = await encode(texts);
        if (rowsDependOn !== 'text') return;
        const reversed = await encode(texts.toReversed());
        const alone = await encode([texts[2]]);
        const row = (from: Float32Array, i: number) => from.subarray(i * dims, (i + 1) * dims);
        for (const i of texts.keys()) {
          const off = distance(row(values, i), row(reversed.values, texts.length - 1 - i));
          ensure(
            off < 1e-4,
            `'${texts[i]}' has another vector, by ${off}, where the texts come in another order`,
          );
        }
        const off = distance(row(values, 2), alone.values);
        ensure(
          off < 1e-4,
          `'${texts[2]}' has another vector, by ${off}, by itself: rowsDependOn must say 'corpus'`,
        );
      },
    },
  ];
}
