import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProgressEvent } from '../../common/progress.ts';
import { skipped } from '../skip.ts';
import { failure, inFolder, load, spell, writeFiles } from './helpers.ts';

const review = (user: string, item: string, time: number | string, more = {}): string =>
  JSON.stringify({ user_id: user, parent_asin: item, timestamp: time, rating: 5, ...more });
/** Four reviews of each of three users. */
const reviews = ['u', 'v', 'w'].flatMap((user) =>
  [1, 2, 3, 4].map((i) => review(user, `item${i}`, 1600000000000 + i)),
);
const bytes = (...parts: (string | number)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.of(part) : Buffer.from(part))));
const bad = ({ manifest }: Awaited<ReturnType<typeof load>>) =>
  manifest.bad.map(({ reason, count, lines }) => ({ reason, count, lines }));

test('bytes that are no UTF-8 are counted as bad rows, in JSON and in CSV', () =>
  inFolder(async (folder) => {
    const json = bytes(
      `${reviews.join('\n')}\n`,
      '{"user_id":"caf',
      0xe9,
      '","parent_asin":"i","timestamp":1}\n',
    );
    const lines = await load(await writeFiles(`${folder}/a`, { 'reviews.jsonl': json }));
    assert.equal(bad(lines), [{ reason: 'broken JSON', count: 1, lines: [13] }]);
    const rows = ['u', 'v'].flatMap((user) => [1, 2, 3, 4].map((i) => `${user},i${i},5,${1.6e12 + i}\n`));
    const csv = bytes(
      'user_id,parent_asin,rating,timestamp\n',
      rows.join(''),
      'u,caf',
      0xe9,
      ',5,1600000000000\n',
    );
    const table = await load(await writeFiles(`${folder}/b`, { 'x.csv': csv }));
    assert.equal(bad(table), [
      { reason: 'not valid UTF-8; convert the file, as by iconv -f LATIN1 -t UTF-8', count: 1, lines: [10] },
    ]);
    assert.is(table.manifest.counts.interactions, 8);
  }));

test('where no row is left, it says what each rule left and the likely cause', () =>
  inFolder(async (folder) => {
    const once = ['u', 'v', 'w'].map((user) => review(user, 'item1', 1600000000000));
    const alone = await writeFiles(`${folder}/once`, { 'reviews.jsonl': once.join('\n') });
    assert.match(
      await failure(load(alone)),
      /no rows are left \(read .*3 -> 3 .*; drop rows with an empty history: 3 -> 0 rows.*every user has but one/,
    );
    const strangers = await writeFiles(`${folder}/strangers`, {
      'reviews.jsonl': reviews.join('\n'),
      'meta_reviews.jsonl': JSON.stringify({ parent_asin: 'another', title: 'x' }),
    });
    assert.match(
      await failure(load(strangers)),
      /drop items without metadata: \d+ -> 0 .*no interaction is with an item that has metadata/,
    );
  }));

test('emoji, NUL, quotes, long descriptions and odd spaces come through', () =>
  inFolder(async (folder) => {
    const names = ['\u{1F600}', 'a\0b', `it's "so"`, 'caf\u00e9'];
    const long = 'word '.repeat(40_000);
    await writeFiles(folder, {
      'reviews.jsonl': ['u', 'v']
        .flatMap((user) => names.map((item, i) => review(user, `  ${item} `, 1e12 + i)))
        .join('\n'),
      'meta.jsonl': names
        .map((item) =>
          JSON.stringify({ parent_asin: item, title: `\u{1F600}\0 ${item}`, description: [long] }),
        )
        .join('\n'),
    });
    const dataset = await load(folder);
    assert.equal([...dataset.itemIds].sort(), [...names].sort());
    assert.equal(bad(dataset), []);
    const texts = [...dataset.itemTexts!];
    assert.ok(texts.every((text) => text.length > 200_000 && text.startsWith(' \0 ')));
    assert.equal(dataset.itemTexts?.at(3), texts[3], 'read out of turn');
    assert.equal(spell(dataset, dataset.test)[0], `${names.slice(0, 3).join(' ')} > ${names[3]}`);
  }));

test('a NUL byte between the rows does not hide the others', () =>
  inFolder(async (folder) => {
    const content = bytes(`${reviews.slice(0, 6).join('\n')}\n`, 0, `\n${reviews.slice(6).join('\n')}`);
    const dataset = await load(await writeFiles(folder, { 'reviews.jsonl': content }));
    assert.equal(bad(dataset), [{ reason: 'broken JSON', count: 1, lines: [7] }]);
    assert.is(dataset.manifest.counts.interactions, 12);
  }));

test('times of 0 and of the future are kept, and said', () =>
  inFolder(async (folder) => {
    const odd = [review('u', 'item8', 0), review('v', 'item9', 4e12), review('v', 'item8', -5)];
    await writeFiles(folder, { 'reviews.jsonl': [...reviews, ...odd].join('\n') });
    const { manifest } = await load(folder);
    assert.is(
      manifest.steps[0].note,
      '2 are of 1970 or before: has their time been lost?; 1 lie in the future',
    );
    assert.is(manifest.counts.interactions, 15);
  }));

test('archives that are damaged anywhere are refused', () =>
  inFolder(async (folder) => {
    const zipped = gzipSync(
      Array.from({ length: 5000 }, (_, i) => review(`u${i % 97}`, `i${i % 89}`, 1e12 + i)).join('\n'),
    );
    const damaged = {
      'without its last byte': zipped.subarray(0, -1),
      'without its check sum': zipped.subarray(0, -8),
      'with a wrong check sum': Buffer.from(zipped),
      'with a wrong byte in the middle': Buffer.from(zipped),
    };
    damaged['with a wrong check sum'][zipped.length - 6] ^= 1;
    damaged['with a wrong byte in the middle'][zipped.length >> 1] ^= 0x55;
    for (const [what, content] of Object.entries(damaged)) {
      const path = await writeFiles(`${folder}/${what}`, { 'reviews.jsonl.gz': content });
      assert.match(
        await failure(load(path)),
        /reviews\.jsonl\.gz: the gzip file .* after line \d+; download/,
        what,
      );
    }
    const twoParts = Buffer.concat([
      gzipSync(`${reviews.slice(0, 5).join('\n')}\n`),
      gzipSync(reviews.slice(5).join('\n')),
    ]);
    const { manifest } = await load(await writeFiles(`${folder}/parts`, { 'reviews.jsonl.gz': twoParts }));
    assert.is(manifest.counts.interactions, 12, 'an archive of several parts is whole');
  }));

test('lines that end differently, and a byte order mark', () =>
  inFolder(async (folder) => {
    const rows = ['u', 'v'].flatMap((user) => [1, 2, 3, 4].map((i) => `${user},i${i},5,${1.6e12 + i}`));
    const header = 'user_id,parent_asin,rating,timestamp';
    const windows = `\uFEFF${[header, ...rows].join('\r\n')}\r\n`;
    const { manifest } = await load(await writeFiles(`${folder}/a`, { 'x.csv': windows }));
    assert.equal([manifest.counts.interactions, manifest.bad], [8, []]);
    const mixed = `${header}\r\n${rows.join('\n')}\n`;
    assert.match(
      await failure(load(await writeFiles(`${folder}/b`, { 'x.csv': mixed }))),
      /x\.csv: cannot be read as CSV; do all its lines end alike/,
    );
    const marked = `\uFEFF${reviews.join('\n')}`;
    const json = await load(await writeFiles(`${folder}/c`, { 'reviews.jsonl': marked }));
    assert.equal([json.manifest.counts.interactions, json.manifest.bad], [12, []]);
  }));

test('lines of bad rows are right after cells of several lines, empty lines and broken quotes', () =>
  inFolder(async (folder) => {
    const good = (i: number) => `u${i % 2},i${i},5,${1.6e12 + i}`;
    const csv = [
      'user_id,parent_asin,rating,timestamp',
      ...[1, 2, 3, 4, 5, 6].map(good),
      'u1,"two',
      'lines",5,1600000000009',
      '',
      'u1,x,y',
      'u1,"a"b,5,1',
      'u1,x,five,1',
      '"u1","say ""no"", or',
      '',
      'not",5,1600000000009',
      ',x,5,1',
    ].join('\n');
    const dataset = await load(await writeFiles(folder, { 'x.csv': csv }));
    assert.equal(bad(dataset), [
      { reason: '3 columns where the header has 4', count: 1, lines: [11] },
      { reason: 'broken CSV quoting', count: 1, lines: [12] },
      { reason: 'rating is not a number', count: 1, lines: [13] },
      { reason: 'no user id', count: 1, lines: [17] },
    ]);
    assert.ok(dataset.itemIds.includes('two\nlines') && dataset.itemIds.includes('say "no", or\n\nnot'));
  }));

test('many bad rows are counted, few are named', () =>
  inFolder(async (folder) => {
    const lines = Array.from({ length: 30_000 }, (_, i) =>
      i % 3 ? review(`u${i % 50}`, `i${i % 70}`, 1e12 + i) : i % 2 ? '{"broken' : review('', 'i', 1),
    );
    const dataset = await load(await writeFiles(folder, { 'reviews.jsonl': lines.join('\n') }));
    assert.equal(bad(dataset), [
      { reason: 'no user id', count: 5000, lines: [1, 7, 13, 19, 25] },
      { reason: 'broken JSON', count: 5000, lines: [4, 10, 16, 22, 28] },
    ]);
    assert.match(
      await failure(load(folder, { strict: true })),
      /reviews\.jsonl: line 1: no user id \(data\.strict is set\)/,
    );
  }));

test('files that cannot be read, and paths that look like patterns', () =>
  inFolder(async (folder) => {
    const gone = await writeFiles(`${folder}/a`, { 'meta.jsonl': '{"parent_asin":"item1","title":"T"}' });
    await symlink(join(folder, 'nowhere'), join(gone, 'reviews.jsonl'));
    assert.match(await failure(load(gone)), /reviews\.jsonl: does not exist \(ENOENT\)/);
    const odd = await writeFiles(`${folder}/b*[c]?`, {
      "it's.jsonl": reviews.join('\n'),
      'ita.csv': 'x,y\n1,2\n',
    });
    assert.is((await load(odd)).manifest.counts.interactions, 12);
    if (process.getuid?.() === 0) return skipped('root may read everything');
    await chmod(join(odd, "it's.jsonl"), 0);
    assert.match(await failure(load(odd)), /permission denied \(EACCES\)/);
  }));

/** Runs `use` in a folder with room for little, where this process may make one. */
async function inSmallFolder(path: string, size: string, use: () => Promise<void>): Promise<void> {
  await mkdir(path);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path], { stdio: 'ignore' });
  } catch {
    return skipped('a full disk needs the right to mount one');
  }
  try {
    await use();
  } finally {
    execFileSync('umount', [path]);
  }
}

test('a full disk: said, and nothing stays behind', () =>
  inFolder(async (folder) => {
    const lines = Array.from({ length: 20_000 }, (_, i) => review(`u${i % 500}`, `i${i % 7001}`, 1e12 + i));
    const path = await writeFiles(`${folder}/data`, { 'reviews.jsonl': lines.join('\n') });
    await inSmallFolder(`${folder}/cache`, '100k', async () => {
      assert.match(await failure(load(path)), /no space left on the device \(ENOSPC\)/);
      assert.equal(await readdir(`${folder}/cache/datasets`), []);
    });
  }));

test('too little memory and no room to spill: which settings help', () =>
  inFolder(async (folder) => {
    // Ids that do not compress, so that tables are larger than the memory.
    const lines = Array.from(
      { length: 400_000 },
      (_, i) => `${(i * 2654435761) % 4294967296}-${'x'.repeat(120)}${i},i${i % 999},5,${i}`,
    );
    const path = await writeFiles(`${folder}/data`, {
      'x.csv': ['user_id,parent_asin,rating,timestamp', ...lines].join('\n'),
    });
    await inSmallFolder(`${folder}/spill`, '1m', async () => {
      assert.match(
        await failure(load(path, { memoryGB: 0.1, tempFolder: `${folder}/spill` })),
        /data\.(tempFolder|memoryGB)/,
      );
      assert.equal(await readdir(`${folder}/spill`), [], 'nothing stays behind');
    });
  }));

test('a stop while files are read ends at once, and leaves nothing', () =>
  inFolder(async (folder) => {
    const { Progress } = await import('../../common/progress.ts');
    const { dataSettings, loadDataset } = await import('../../data/index.ts');
    const lines = Array.from({ length: 300_000 }, (_, i) => review(`u${i}`, `i${i}`, 1e12 + i)).join('\n');
    const path = await writeFiles(`${folder}/data`, { 'reviews.jsonl.gz': lines });
    let stop = false;
    const events: ProgressEvent[] = [];
    const watch = (event: ProgressEvent) => {
      events.push(event);
      if (event.kind === 'begin' && event.task.startsWith('read'))
        setTimeout(() => {
          stop = true;
        }, 50);
    };
    const work = loadDataset({ name: 'x', path }, dataSettings.parse({}), {
      progress: new Progress(watch, () => stop),
      seed: 1,
    });
    assert.is(await work.catch((error) => (error as Error).name), 'Cancelled');
    assert.equal(await readdir(`${folder}/cache/datasets`), []);
  }));

test.run();
