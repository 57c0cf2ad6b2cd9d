import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { Bm25, type Bm25Settings, bm25Settings } from '../../search/bm25/bm25.ts';
import { PostingsBuilder } from '../../search/bm25/postings.ts';
import { stopWords } from '../../search/bm25/stop-words.ts';
import { tokenizers } from '../../search/bm25/tokens.ts';
import { plainBm25 } from './plain-bm25.ts';

const defaults = bm25Settings.parse({});

function indexed(texts: readonly string[], settings: Bm25Settings = defaults): Bm25 {
  const builder = new PostingsBuilder(settings.tokenizer);
  for (const text of texts) builder.add(text);
  return new Bm25(builder.finish(), settings);
}

const termsOf = (text: string) => tokenizers.words(text).filter((word) => !stopWords.has(word));

/** Texts of words w0, w1, ... with Zipf's frequencies; some repeat a word, some are equal, some have none. */
function zipfTexts(count: number, words: number, longest: number, seed: string): string[] {
  const random = seeded(seed);
  const texts = Array.from({ length: count }, () => {
    const length = random.below(longest);
    return Array.from({ length }, () => `w${Math.floor(words ** random.uniform()) - 1}`).join(' ');
  });
  for (let i = 0; i < count; i += 17) texts[i] = texts[random.below(count)];
  return texts;
}

for (const [name, settings] of Object.entries({
  'as by default': defaults,
  'other parameters': { ...defaults, k1: 0.9, b: 0.4, epsilon: 0.5 },
  'no length normalisation': { ...defaults, b: 0 },
  'presence only': { ...defaults, k1: 0 },
  "the paper's script": { ...defaults, lengthNorm: 'corpus' as const },
})) {
  test(`the top of every query is that of plain BM25: ${name}`, () => {
    // More texts than a window has, and words in most of the texts.
    const texts = zipfTexts(9000, 3000, 40, 'texts');
    const bm25 = indexed(texts, settings);
    const score = plainBm25(texts.map(termsOf), settings);
    for (const query of zipfTexts(25, 3000, 30, 'queries')) {
      const expected = score(termsOf(query));
      const { items, scores } = bm25.search(query, 100);
      assert.ok(items.length <= 100);
      scores.forEach((found, i) => {
        assert.ok(Math.abs(found - expected[items[i]]) < 1e-6, `${found} for ${expected[items[i]]}`);
        if (i > 0) assert.ok(found < scores[i - 1] || (found === scores[i - 1] && items[i] > items[i - 1]));
      });
      const listed = new Set(items);
      const last = items.length === 100 ? scores[99] : 0;
      expected.forEach((one, item) => {
        if (!listed.has(item)) assert.ok(one <= last + 1e-6, `item ${item} with ${one} is missing`);
      });
    }
  });
}

test('equal texts score alike to the last bit, and come in their order', () => {
  const texts = zipfTexts(6000, 500, 30, 'equal');
  texts[77] = texts[5555] = texts[5000] = 'w3 w9 w9 w14 w21 w2 w450 w451';
  const bm25 = indexed(texts);
  for (const k of [1, 3, 10]) {
    const { items, scores } = bm25.search('w450 w14 w451 w21 w9', k);
    assert.equal([...items.subarray(0, 3)], [77, 5000, 5555].slice(0, k));
    assert.ok(scores.subarray(0, 3).every((score) => score === scores[0]));
  }
});

test('postings are skipped where frequent words cannot matter', () => {
  const random = seeded('skips');
  const texts = Array.from({ length: 20_000 }, (_, i) =>
    Array.from({ length: 20 }, (_, j) => (j < 8 ? `common${j}` : `w${random.below(2000)}`))
      .filter((_, j) => j >= 8 || random.below(3) === 0)
      .concat(i % 1000 === 0 ? ['rare', 'rare', 'seldom'] : [])
      .join(' '),
  );
  const bm25 = indexed(texts);
  bm25.search('common1 common2 common3 rare common4 seldom common5', 3);
  assert.ok(bm25.work.scored < bm25.work.postings / 2, JSON.stringify(bm25.work));
});

test('found are texts with a word of the query only', () => {
  const bm25 = indexed(['red shoe', 'blue shoe laces', 'green hat', 'the', '', 'hat', 'hat hat', 'lamp']);
  const found = (query: string, k = 10) => [...bm25.search(query, k).items];
  assert.equal(found('shoe'), [0, 1]);
  assert.equal(found('SHOE!'), [0, 1]);
  assert.equal(found('shoe', 1), [0]);
  assert.equal(found('hat', 1000).length, 3);
  for (const query of ['', '   ', 'the and of', 'unknown', '!!!']) assert.equal(found(query), []);
});

test('a word that a query repeats counts as often', () => {
  const bm25 = indexed(['red shoe', 'blue hat', 'lamp', 'chair', 'table']);
  const score = (query: string) => bm25.search(query, 1).scores[0];
  assert.ok(Math.abs(score('red red red') - 3 * score('red')) < 1e-6);
});

test('a word can be in a text more than 255 times', () => {
  const texts = ['chair '.repeat(70_000), 'chair '.repeat(300), 'chair', 'table', 'lamp', 'hat', 'shoe'];
  const score = plainBm25(texts.map(termsOf), defaults)(['chair']);
  const { items, scores } = indexed(texts).search('chair', 5);
  assert.is(items.length, 3);
  for (const [i, item] of items.entries()) assert.ok(Math.abs(scores[i] - score[item]) < 1e-3);
});

test.run();
