import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { Bm25, bm25Settings } from '../../search/bm25/bm25.ts';
import { PostingsBuilder } from '../../search/bm25/postings.ts';
import { askPython, pythonWith } from '../python.ts';
import { testFolder } from './task-files.ts';

const test = suite<{ folder: string }>('BM25 beside public libraries');
test.before((context) => {
  context.folder = testFolder();
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

const random = seeded('bm25 peers');
const words = (most: number) =>
  Array.from({ length: 1 + random.below(most) }, () => `w${Math.floor(800 ** random.uniform())}`).join(' ');
const texts = Array.from({ length: 1200 }, () => words(30));
const queries = Array.from({ length: 30 }, () => words(12));
const k1 = 1.2;

/** Compares the scores of every text with ours; `scale` is what the library leaves out. */
function compare(scores: number[][], epsilon: number, scale: number): void {
  const builder = new PostingsBuilder('words');
  for (const text of texts) builder.add(text);
  const bm25 = new Bm25(builder.finish(), bm25Settings.parse({ k1, b: 0.6, epsilon }));
  queries.forEach((query, q) => {
    const { items, scores: ours } = bm25.search(query, texts.length);
    const found = new Float64Array(texts.length);
    items.forEach((item, i) => {
      found[item] = ours[i];
    });
    found.forEach((score, item) => {
      const theirs = scores[q][item] * scale;
      assert.ok(Math.abs(score - theirs) < 1e-5 * (1 + theirs), `${query}, ${item}: ${score} for ${theirs}`);
    });
  });
}

test('rank-bm25 gives the same scores', ({ folder }) => {
  const python = pythonWith('rank_bm25');
  if (!python) return;
  const script = `
import json, sys
from rank_bm25 import BM25Okapi
o = json.load(open(sys.argv[1]))
b = BM25Okapi([t.split() for t in o['texts']], k1=1.2, b=0.6, epsilon=0.25)
print(json.dumps([b.get_scores(q.split()).tolist() for q in o['queries']]))`;
  compare(askPython(python, script, input(folder)) as number[][], 0.25, 1);
});

test('bm25s gives the same scores, words in more than half of the texts counting nothing', ({ folder }) => {
  const python = pythonWith('bm25s');
  if (!python) return;
  const script = `
import json, sys, bm25s
o = json.load(open(sys.argv[1]))
b = bm25s.BM25(method='robertson', k1=1.2, b=0.6, dtype='float64')
b.index([t.split() for t in o['texts']], show_progress=False)
print(json.dumps([b.get_scores(q.split()).tolist() for q in o['queries']]))`;
  compare(askPython(python, script, input(folder)) as number[][], 0, 1 + k1);
});

function input(folder: string): string {
  const path = join(folder, 'texts.json');
  writeFileSync(path, JSON.stringify({ texts, queries }));
  return path;
}

test.run();
