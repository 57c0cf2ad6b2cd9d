import { existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { loadTokenizer } from '../../encoders/tokenizer.ts';
import { skipped } from '../skip.ts';

const data = '../shared/data/roberta-tokenizer';
let folder: string;
test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokenizer-'));
});
test.after.each(() => rm(folder, { recursive: true, force: true }));

async function failure(): Promise<string> {
  const error = await loadTokenizer(folder).then(
    () => undefined,
    (e: Error) => e,
  );
  assert.instance(error, UserError);
  return error!.message;
}

const sources: Record<string, Record<string, string>> = {
  'tokenizer.json': { 'tokenizer.roberta-base-settings.json': 'tokenizer.json' },
  'vocab.json and merges.txt': { 'vocab.json': 'vocab.json', 'merges.txt': 'merges.txt' },
};
for (const [source, files] of Object.entries(sources))
  test(`${source}: every reference vector is identical`, async () => {
    if (!existsSync(data)) return skipped(`${data} is not at hand`);
    for (const [from, to] of Object.entries(files)) await copyFile(join(data, from), join(folder, to));
    const tokenizer = await loadTokenizer(folder);
    assert.is(tokenizer.padId, 1);
    assert.is(tokenizer.size, 50265);
    const lines = readFileSync(join(data, 'reference_vectors.jsonl'), 'utf8').trim().split('\n');
    assert.is(lines.length, 330);
    for (const line of lines) {
      const { text, ids } = JSON.parse(line) as { text: string; ids: number[] };
      assert.equal(tokenizer.encode(text, 128), ids, JSON.stringify(text));
      assert.equal(tokenizer.encode(text, 8), ids.length > 8 ? [...ids.slice(0, 7), 2] : ids);
    }
  });

/** A vocabulary of single letters and one merge. */
async function tiny(vocab: Record<string, number>, merges: string): Promise<void> {
  await writeFile(join(folder, 'vocab.json'), JSON.stringify(vocab));
  await writeFile(join(folder, 'merges.txt'), merges);
}
const letters = { '<s>': 0, '<pad>': 1, '</s>': 2, '<unk>': 3, a: 4, b: 5, ab: 6, Ġ: 7, '<mask>': 8 };

test('merges are applied, special tokens stay whole', async () => {
  await tiny(letters, '#version: 0.2\na b\n');
  const { encode, size } = await loadTokenizer(folder);
  assert.equal(encode('abba', 10), [0, 6, 5, 4, 2]);
  assert.equal(encode('a <mask>', 10), [0, 4, 8, 2]);
  assert.equal(encode('', 10), [0, 2]);
  assert.is(size, 9);
});

test('unusable files are named', async () => {
  assert.match(await failure(), /neither tokenizer.json nor vocab.json and merges.txt/);
  const { '<pad>': _pad, ...without } = letters;
  await tiny(without, '');
  assert.match(await failure(), /vocab.json: the token <pad> is missing/);
  await tiny(letters, '#version: 0.2\na b\nabb\n');
  assert.match(await failure(), /merges.txt: 'abb' is not a pair/);
  await writeFile(join(folder, 'tokenizer.json'), '{"model": ');
  assert.match(await failure(), /tokenizer.json: not valid JSON/);
  await writeFile(join(folder, 'tokenizer.json'), '{}');
  assert.match(await failure(), /tokenizer.json: not a usable tokenizer/);
});

test.run();
