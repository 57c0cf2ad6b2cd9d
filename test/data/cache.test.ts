import { mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cacheFolder } from '../../common/files.ts';
import type { ProgressEvent } from '../../common/progress.ts';
import type { Dataset } from '../../data/dataset.ts';
import { failure, inFolder, load, writeFiles } from './helpers.ts';

const csv = [
  'user_id,parent_asin,rating,timestamp',
  ...[1, 2, 3, 4, 5].map((i) => `u,item${i},5,${1600000000000 + i}`),
  'v,item1,5,1600000000001',
  'v,item2,5,1600000000001',
  'v,item3,5,1600000000001',
  'v,item4,5,1600000000001',
].join('\n');
const files = { 'X.csv': csv, 'meta.jsonl': '' };
files['meta.jsonl'] = [1, 2, 3, 4, 5]
  .map((i) => `{"parent_asin":"item${i}","title":"Title\\n${i} \u2028"}`)
  .join('\n');

const read = (events: ProgressEvent[]): boolean =>
  events.some((e) => e.kind === 'begin' && e.task.startsWith('read'));
const notes = (events: ProgressEvent[]): string[] =>
  events.flatMap((e) => (e.kind === 'note' ? [e.text] : []));
const prepared = async (): Promise<string[]> =>
  (await readdir(cacheFolder('datasets'))).map((name) => cacheFolder('datasets', name));

function assertSame(a: Dataset, b: Dataset): void {
  assert.equal({ ...a, itemTexts: [...a.itemTexts!] }, { ...b, itemTexts: [...b.itemTexts!] });
}

test('the second time nothing is read again, and everything is the same', () =>
  inFolder(async (folder) => {
    const path = await writeFiles(`${folder}/data`, files);
    const first = await load(path);
    const events: ProgressEvent[] = [];
    assertSame(await load(path, {}, events), first);
    assert.not(read(events));
    assert.equal(notes(events), []);
    assert.is((await prepared()).length, 1);
    assert.is(first.manifest.sources.length, 2);
  }));

test('moved or touched files hit, changed bytes and changed settings do not', () =>
  inFolder(async (folder) => {
    const { manifest } = await load(await writeFiles(`${folder}/data`, files));
    const moved = await writeFiles(`${folder}/elsewhere`, files);
    await utimes(join(moved, 'X.csv'), 1, 1);
    const events: ProgressEvent[] = [];
    const again = await load(moved, {}, events);
    assert.not(read(events));
    assert.is(
      again.manifest.sources[0].path,
      join(moved, 'X.csv'),
      'the manifest names the files of this time',
    );
    const changed = await load(await writeFiles(moved, { 'X.csv': `${csv}\nw,item1,5,1600000000000` }));
    assert.is.not(changed.manifest.hash, manifest.hash);
    assert.is.not((await load(`${folder}/data`, { kcore: 1 })).manifest.hash, manifest.hash);
  }));

test('the seed matters for random ties only', () =>
  inFolder(async (folder) => {
    const path = await writeFiles(`${folder}/data`, files);
    const hash = async (ties: string, seed: number): Promise<string> =>
      (await load(path, { ties }, [], seed)).manifest.hash;
    assert.is(await hash('file', 1), await hash('file', 2));
    assert.is.not(await hash('random', 1), await hash('random', 2));
    assert.is((await load(path, { ties: 'random' })).manifest.ties, 'random order');
  }));

for (const [what, damage] of [
  [
    'changed bytes',
    async (folder: string) => {
      const path = join(folder, 'arrays.safetensors');
      const bytes = await readFile(path);
      bytes[bytes.length - 1] ^= 1;
      await writeFile(path, bytes);
    },
  ],
  ['a missing file', (folder: string) => rm(join(folder, 'texts.jsonl'))],
  [
    'a cut manifest',
    async (folder: string) => {
      const path = join(folder, 'manifest.json');
      await writeFile(path, (await readFile(path)).subarray(0, 20));
    },
  ],
  ['no seal', (folder: string) => rm(join(folder, 'seal.json'))],
  [
    'another format',
    (folder: string) => writeFile(join(folder, 'seal.json'), '{"formatVersion":0,"sha256":{}}'),
  ],
  [
    'an empty folder',
    async (folder: string) => {
      await rm(folder, { recursive: true });
      await mkdir(folder);
    },
  ],
] as const)
  test(`a cache with ${what} is made again, with a note`, () =>
    inFolder(async (folder) => {
      const path = await writeFiles(`${folder}/data`, files);
      const first = await load(path);
      await damage((await prepared())[0]);
      const events: ProgressEvent[] = [];
      assertSame(await load(path, {}, events), first);
      assert.ok(read(events));
      assert.match(notes(events)[0], /prepared dataset is made again/);
      const after: ProgressEvent[] = [];
      await load(path, {}, after);
      assert.not(read(after), 'and then it is intact');
    }));

test('a cache that cannot be read just now is left as it is, for others may be reading it', () =>
  inFolder(async (folder) => {
    const path = await writeFiles(`${folder}/data`, files);
    const first = await load(path);
    const seal = join((await prepared())[0], 'seal.json');
    await rename(seal, `${seal}.away`);
    await mkdir(seal);
    assert.match(await failure(load(path)), /seal\.json: is a folder, a file was expected \(EISDIR\)/);
    await rm(seal, { recursive: true });
    await rename(`${seal}.away`, seal);
    const events: ProgressEvent[] = [];
    assertSame(await load(path, {}, events), first);
    assert.not(read(events));
  }));

test('a failure leaves nothing behind in the cache', () =>
  inFolder(async (folder) => {
    const path = await writeFiles(`${folder}/data`, files);
    await failure(load(path, { split: 'timestamp' }));
    assert.equal(await prepared().catch(() => []), []);
  }));

test('several at once make one', () =>
  inFolder(async (folder) => {
    const path = await writeFiles(`${folder}/data`, files);
    const [a, b, c] = await Promise.all([load(path), load(path), load(path)]);
    assertSame(a, b);
    assertSame(a, c);
    assert.is((await prepared()).length, 1, 'and no temporary folder stays');
    assertSame(await load(path), a);
  }));

test.run();
