import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Progress } from '../../../common/progress.ts';
import type { TextTokenizer } from '../../../encoders/tokenizer.ts';
import { readCorpus } from '../../../training/pretraining/corpus.ts';

/** A token a letter; other signs have none, as a checkpoint's own tokenizer may drop them. */
const letters: TextTokenizer = {
  encode: (text) => [0, ...(text.match(/[a-z]/g) ?? []).map((letter) => letter.charCodeAt(0)), 2],
  ...{ padId: 1, maskId: 3, special: new Set([0, 1, 2]), size: 128, files: [] },
};

test('pairs without a text and pairs with a text of no token are left out, and counted together', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rec-corpus-'));
  const rows = [
    ['train', 'a', 'good', 'comb'],
    ['train', 'a', '!?', 'comb'],
    ['train', 'b', 'bad', '--'],
    ['train', 'b', '', 'soap'],
    ['valid', 'c', 'fine', 'soap'],
  ];
  const path = join(folder, 'pairs.tsv');
  writeFileSync(path, ['split\titem\treview\tmetadata', ...rows.map((row) => row.join('\t'))].join('\n'));
  const { corpus, report } = await readCorpus(path, letters, 16, new Progress());
  rmSync(folder, { recursive: true });
  assert.equal(report, { pairs: { train: 1, valid: 1, test: 0 }, items: 2, tokens: 6 + 6 + 6 + 6, empty: 3 });
  assert.equal([...corpus.train.itemOf, ...corpus.valid.itemOf], [0, 1]);
});

test.run();
