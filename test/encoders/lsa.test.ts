import { existsSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Progress, type ProgressEvent } from '../../common/progress.ts';
import lsa from '../../encoders/lsa.ts';
import { Tfidf, words } from '../../encoders/tfidf.ts';
import { skipped } from '../skip.ts';

const check = () => {};

async function vectors(
  texts: string[],
  settings: Record<string, unknown> = {},
  events: ProgressEvent[] = [],
) {
  const config = lsa.config.parse(settings);
  const progress = new Progress((event) => events.push(event));
  const encoder = await lsa.open(config, { seed: 1, threads: 1, progress });
  const values = new Float32Array(texts.length * encoder.dims);
  let next = 0;
  await encoder.embed(texts, async (first, block) => {
    assert.is(first, next);
    values.set(block, first * encoder.dims);
    next += block.length / encoder.dims;
  });
  assert.is(next, texts.length);
  return (row: number) => values.subarray(row * encoder.dims, (row + 1) * encoder.dims);
}

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const cosine = (a: Float32Array, b: Float32Array) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));

test('words are runs of letters and digits in any script', () => {
  assert.equal(words("L'Oréal 50ml, ÄRGER-Öl; 东京 हिन्दी!"), [
    'l',
    'oréal',
    '50ml',
    'ärger',
    'öl',
    '东京',
    'हिन्दी',
  ]);
  assert.equal(words(' -- '), []);
});

test('TF-IDF weights equal those worked out by hand', () => {
  const tfidf = new Tfidf({ ngrams: 1, minCount: 2 });
  const texts = ['red red shoe', 'red hat', 'blue hat', 'lonely'];
  tfidf.fit(texts, check);
  assert.is(tfidf.width, 2); // red and hat; the others are found once
  const rows = tfidf.transform(texts, check);
  assert.equal([...rows.start], [0, 1, 3, 4, 4]);
  // Both terms are found in two of four texts, so only their counts, 1 + ln tf, decide.
  assert.equal(
    [...rows.values].map((x) => x.toFixed(4)),
    ['1.0000', '0.7071', '0.7071', '1.0000'],
  );
  const other = tfidf.transform(['red red hat'], check);
  const expected = [1 + Math.log(2), 1].map((x) => x / Math.hypot(1 + Math.log(2), 1));
  assert.equal(
    [...other.values].map((x) => x.toFixed(5)),
    expected.map((x) => x.toFixed(5)),
  );
});

test('idf weighs a rare term more, and bigrams are terms', () => {
  const tfidf = new Tfidf({ ngrams: 2, minCount: 1 });
  tfidf.fit(['a b', 'a c', 'a b'], check);
  assert.is(tfidf.width, 5); // a, b, c, "a b", "a c"
  const { values, start } = tfidf.transform(['a c'], check);
  assert.is(start[1], 3);
  const [a, c, ac] = [Math.log(4 / 4) + 1, Math.log(4 / 2) + 1, Math.log(4 / 2) + 1];
  const norm = Math.hypot(a, c, ac);
  // In order of first appearance: a, "a c", c.
  assert.equal(
    [...values].map((x) => x.toFixed(5)),
    [a, ac, c].map((x) => (x / norm).toFixed(5)),
  );
});

test('like texts are near, unlike ones far, and every vector has the same length', async () => {
  const texts = [
    'red leather shoe for women',
    'leather shoe for men',
    'red shoe for women',
    'coffee maker with glass jar',
    'coffee grinder',
    'glass coffee maker',
    'garden hose with nozzle',
    'garden hose reel',
    'hose nozzle for garden',
  ];
  const row = await vectors(texts, { dims: 4 });
  assert.ok(cosine(row(0), row(2)) > 0.8);
  assert.ok(cosine(row(3), row(5)) > 0.8);
  assert.ok(cosine(row(0), row(3)) < 0.4);
  for (let i = 0; i < texts.length; i++) assert.ok(Math.abs(Math.sqrt(dot(row(i), row(i))) - 0.5 * 2) < 1e-5);
});

test('small catalogues are padded with zeros, texts without a common term are zero and counted', async () => {
  const events: ProgressEvent[] = [];
  const row = await vectors(['red shoe', 'red hat', 'unrelated words'], { dims: 16 }, events);
  assert.ok(
    row(0)
      .subarray(3)
      .every((x) => x === 0),
  );
  assert.ok(row(2).every((x) => x === 0));
  assert.ok(row(0).some((x) => x !== 0));
  assert.match(events.map((e) => (e.kind === 'warning' ? e.text : '')).join(), /1 of 3 texts share no term/);
  const none = await vectors(['a', 'b'], { dims: 2 });
  assert.equal([...none(0), ...none(1)], [0, 0, 0, 0]);
  await vectors([]);
});

test('a fit to some of the texts projects all of them, and repeats itself', async () => {
  const texts = Array.from({ length: 300 }, (_, i) => `colour ${i % 5} shape ${i % 7} item ${i % 50}`);
  const a = await vectors(texts, { dims: 8, fitTexts: 60 });
  const b = await vectors(texts, { dims: 8, fitTexts: 60 });
  for (let i = 0; i < texts.length; i++) assert.equal(a(i), b(i));
  assert.ok(cosine(a(1), a(1 + 50)) > 0.3);
});

test('settings are part of the fingerprint; threads and seed are not', async () => {
  const fingerprint = async (settings: object, seed: number) =>
    (await lsa.open(lsa.config.parse(settings), { seed, threads: seed, progress: new Progress() }))
      .fingerprint;
  assert.is(await fingerprint({}, 1), await fingerprint({}, 2));
  assert.is.not(await fingerprint({}, 1), await fingerprint({ dims: 8 }, 1));
});

test('the nearest neighbours of real titles are sensible', async () => {
  const path = '../shared/data/amazon2014-beauty/amazon2014-beauty.item';
  if (!existsSync(path)) return skipped(`${path} is not at hand`);
  const lines = readFileSync(path, 'utf8').trim().split('\n').slice(1, 3001);
  const texts = lines.map((line) => line.split('\t')[1] ?? '');
  const row = await vectors(texts, { dims: 64 });
  const kinds = ['shampoo', 'lipstick', 'mascara', 'nail polish'];
  const precisions: number[] = [];
  for (const kind of kinds) {
    const members = [...texts.keys()].filter((i) => texts[i].toLowerCase().includes(kind));
    const share = members.length / texts.length;
    let hits = 0;
    for (const i of members.slice(0, 20)) {
      const others = [...texts.keys()].filter((j) => j !== i);
      const scores = others.map((j) => cosine(row(i), row(j)));
      const top = [...others.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, 5);
      hits += top.filter((t) => texts[others[t]].toLowerCase().includes(kind)).length / 5;
    }
    const precision = hits / Math.min(20, members.length);
    precisions.push(precision);
    assert.ok(precision > 8 * share, `${kind}: ${precision} against ${share} by chance`);
  }
  // A quarter of the catalogue in 64 dimensions reaches 0.5; chance is 0.006 to 0.03.
  const mean = precisions.reduce((sum, x) => sum + x, 0) / kinds.length;
  assert.ok(mean > 0.4, precisions.join(' '));
});

test.run();
