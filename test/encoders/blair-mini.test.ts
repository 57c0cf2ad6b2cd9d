import { statSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Progress } from '../../common/progress.ts';
import { projectCatalogue } from '../../configs/catalogue.ts';
import { resolveEncoding } from '../../configs/parts.ts';
import { embedTexts } from '../../encoders/index.ts';
import { builtInCheckpoint } from '../../encoders/roberta-files.ts';

/** Reviews, and the items that they are about, none of which are among the pairs that it was trained on. */
const about: [review: string, item: string][] = [
  ['These scissors cut my hair well, very sharp blades', 'Professional Hair Cutting Shears, Stainless Steel'],
  [
    'My skin feels soft and moisturized after using this cream',
    'Hydrating Face Moisturizer Cream for Dry Skin',
  ],
  ['The polish chips after one day, but I love the color', 'Gel Nail Polish Set, 6 Colors'],
  [
    'Great articles and photographs in every issue of this magazine',
    'Nature and Travel Magazine Subscription',
  ],
  ['The cable charges my phone fast', 'USB-C Charging Cable for Phone, 6 ft'],
  ['My dog loves these treats', 'Chicken Flavor Dog Treats'],
];

test('blair-mini is the default encoder, comes with the project, and brings reviews near their items', async () => {
  const { encoder, seed } = resolveEncoding({ set: [] }, await projectCatalogue());
  assert.is(encoder.name, 'blair-mini');
  const texts = about.flat();
  const { values, dims } = await embedTexts(
    { ...encoder, texts, rows: texts.length, cache: false },
    { seed, threads: 1, progress: new Progress() },
  );
  assert.is(dims, 256);
  const row = (i: number) => values.subarray(i * dims, (i + 1) * dims);
  const cosine = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i], 0);
  const ranks = about.map((_, i) => {
    const scores = about.map((_, j) => cosine(row(2 * i), row(2 * j + 1)));
    return scores.filter((score) => score > scores[i]).length;
  });
  for (let i = 0; i < texts.length; i++) assert.ok(Math.abs(cosine(row(i), row(i)) - 1) < 1e-5, 'length one');
  // By chance the mean rank is 2.5.
  assert.ok(ranks.reduce((a, b) => a + b, 0) / ranks.length < 1, `ranks ${ranks}`);
});

test('its files take at most 12 MB', () => {
  const folder = builtInCheckpoint('rec/blair-mini')!;
  const bytes = ['config.json', 'model.safetensors', 'tokenizer.json'].map(
    (name) => statSync(`${folder}/${name}`).size,
  );
  assert.ok(bytes.reduce((a, b) => a + b) <= 12e6);
});

test.run();
