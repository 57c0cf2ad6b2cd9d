import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { describeOwn } from '../../cli/own.ts';
import type { ProgressEvent } from '../../common/progress.ts';
import { resolveSource } from '../../data/index.ts';
import { parseColumns } from '../../data/own-columns.ts';
import { instantOf, timeFormat } from '../../data/readers/own-times.ts';
import { failure, inFolder, load, spell, writeFiles } from './helpers.ts';

const first = Date.UTC(2021, 7, 11, 0, 50, 43);
const taken = Array.from({ length: 60 }, (_, i) => ({
  uid: `u ${i % 9}`,
  sku: `s${(i * 7) % 17}`,
  stars: 1 + (i % 5),
  when: first + 86_400_000 * ((i * 31) % 53),
}));
const goods = Array.from({ length: 17 }, (_, i) => ({
  sku: `s${i}`,
  name: `Shoe, "no" ${i}`,
  about: ['red', 'fast'],
  size: i,
}));

const iso = (ms: number) => new Date(ms).toISOString();
const rows = (separator: string, time: (ms: number) => unknown) =>
  ['uid,sku,when,stars', ...taken.map(({ uid, sku, when, stars }) => [uid, sku, time(when), stars].join(','))]
    .join('\n')
    .replaceAll(',', separator);
const lines = (time: (ms: number) => unknown) =>
  taken.map((row) => JSON.stringify({ ...row, when: time(row.when) })).join('\n');

/** The same interactions, written in every way, and the words for their times. */
const written: Record<string, [content: string, times: string]> = {
  'a.csv': [rows(',', (ms) => ms / 1000), 'in seconds since 1970'],
  'b.csv': [rows(';', iso), 'as dates'],
  'c.csv': [rows('|', (ms) => iso(ms).slice(0, 19).replace('T', ' ')), 'as dates'],
  'd.tsv': [rows('\t', (ms) => ms), 'in milliseconds since 1970'],
  'e.jsonl.gz': [lines((ms) => ms * 1000), 'in microseconds since 1970'],
  'f.json': [
    `[${lines((ms) => iso(ms + 7_200_000).replace('Z', '+02:00')).replaceAll('\n', ',')}]`,
    'as dates',
  ],
  'g.json': [`[${lines((ms) => ms * 1e6).replaceAll('\n', ',')}]`, 'in nanoseconds since 1970'],
};

async function parquet(folder: string): Promise<string> {
  const path = join(folder, 'h.parquet');
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  const values = taken.map(
    ({ uid, sku, when, stars }) => `('${uid}', '${sku}', make_timestamp_ms(${when}), ${stars})`,
  );
  await connection.run(
    `COPY (SELECT * FROM (VALUES ${values}) AS t(uid, sku, "when", stars)) TO '${path}' (FORMAT parquet)`,
  );
  connection.closeSync();
  instance.closeSync();
  return path;
}

const columns = { user: 'uid', item: 'sku', time: 'when', rating: 'stars', text: 'name+about+size' };

test('the same data in every format and with every kind of time', () =>
  inFolder(async (folder) => {
    await writeFiles(
      folder,
      Object.fromEntries(Object.entries(written).map(([name, [content]]) => [name, content])),
    );
    const items = join(
      await writeFiles(folder, { 'items.jsonl': goods.map((item) => JSON.stringify(item)).join('\n') }),
      'items.jsonl',
    );
    const list = join(await writeFiles(folder, { 'items.json': JSON.stringify(goods) }), 'items.json');
    const files = [...Object.keys(written).map((name) => join(folder, name)), await parquet(folder)];
    const seen = [];
    for (const [i, reviews] of files.entries()) {
      const events: ProgressEvent[] = [];
      const own = { reviews, items: i % 2 ? list : items, columns };
      const dataset = await load({ name: 'own', own }, {}, events);
      assert.equal(dataset.manifest.bad, [], reviews);
      const notes = events.flatMap((event) => (event.kind === 'note' ? [event.text] : []));
      const times = written[reviews.split('/').at(-1) ?? '']?.[1] ?? 'in milliseconds since 1970';
      assert.match(notes[0], `${reviews} is understood as reviews, times ${times}; its first rows:`);
      assert.match(notes[0], /user u 0, item s0, 2021-08-11T00:50:43.000Z \(.+\), rating 1\n/);
      assert.match(notes[1], /understood as items; its first rows:\n {2}item s0: Shoe, "no" 0 red, fast 0\n/);
      seen.push({
        texts: [...(dataset.itemTexts ?? [])],
        rows: [dataset.train, dataset.valid, dataset.test].map((part) => spell(dataset, part)),
      });
    }
    for (const other of seen) assert.equal(other, seen[0]);
    assert.is(seen[0].rows[2].length, 9);
    assert.ok(seen[0].texts.includes('Shoe, "no" 3 red, fast 3    '));
  }));

test("columns of Amazon's names need no description; fields can be named one by one", () =>
  inFolder(async (folder) => {
    await writeFiles(folder, {
      'r.csv': rows(',', (ms) => ms).replace('uid,sku,when,stars', 'user_id,asin,timestamp,rating'),
      'i.csv': ['id,brand', ...goods.map(({ sku }) => `${sku},B ${sku}`)].join('\n'),
    });
    const reviews = join(folder, 'r.csv');
    assert.is((await load({ name: 'own', own: { reviews, columns: {} } })).itemTexts, undefined);
    const own = { reviews, items: join(folder, 'i.csv'), columns: { title: 'brand' } };
    const dataset = await load({ name: 'own', own });
    assert.equal(dataset.itemTexts?.at(0), `B ${dataset.itemIds[0]}    `);
  }));

test('texts in other scripts: removed as the paper does, which is said and counted, or kept', () =>
  inFolder(async (folder) => {
    const items = goods.map(({ sku }, i) => JSON.stringify({ id: sku, title: i ? '赤い靴、速い' : 'Shoe' }));
    await writeFiles(folder, { 'r.csv': rows(',', (ms) => ms), 'i.jsonl': items.join('\n') });
    const own = {
      reviews: join(folder, 'r.csv'),
      items: join(folder, 'i.jsonl'),
      columns: { user: 'uid', item: 'sku', time: 'when' },
    };
    const outcome = async (settings: object) => {
      const events: ProgressEvent[] = [];
      const { manifest, itemIds, itemTexts } = await load({ name: 'own', own }, { ...settings }, events);
      const warnings = events.flatMap((event) => (event.kind === 'warning' ? [event.text] : []));
      const step = manifest.steps.find(({ rule }) => rule === 'items with a text');
      return { warnings, step, text: itemTexts?.at(itemIds.indexOf('s1')) };
    };
    const stripped = await outcome({});
    assert.match(stripped.warnings.join(), /16 of 17 items .* data\.text=unicode keeps them/);
    assert.is(stripped.step?.out, 1);
    assert.match(stripped.text!, /^ +$/);
    const kept = await outcome({ text: 'unicode' });
    assert.equal([kept.warnings, kept.step?.out, kept.text], [[], 17, '赤い靴、速い    ']);
  }));

test('a YAML file describes them, with paths from its folder', () =>
  inFolder(async (folder) => {
    await writeFiles(folder, { 'data/r.csv': rows(',', (ms) => ms) });
    const path = join(folder, 'shop.yaml');
    writeFileSync(
      path,
      'own:\n  reviews: data/r.csv\n  columns: {user: uid, item: sku, time: when}\ndefaults:\n  data: {kcore: 2}\n',
    );
    const source = resolveSource(path);
    assert.equal(
      [source.name, source.own?.reviews, source.defaults],
      ['shop', join(folder, 'data/r.csv'), { data: { kcore: 2 } }],
    );
    assert.is((await load(source)).manifest.name, 'shop');
    writeFileSync(path, 'own:\n  revues: data/r.csv\n');
    assert.match(
      await failure((async () => resolveSource(path))()),
      /shop.yaml: not a description of datasets: .*revues/s,
    );
  }));

test('what cannot be understood is named, with what there is', () =>
  inFolder(async (folder) => {
    const write = async (name: string, content: string, columns: Record<string, string> = {}) => {
      await writeFiles(folder, { [name]: content });
      return failure(load({ name: 'own', own: { reviews: join(folder, name), columns } }));
    };
    assert.match(
      await write('a.csv', rows(',', String), { user: 'ui' }),
      /a.csv: no column 'ui' for user \(did you mean 'uid'\?\); name one with --columns user=\.\.\. of \[uid, sku, when, stars\]/,
    );
    assert.match(await write('b.csv', ''), /b.csv: the file is empty/);
    assert.match(await write('c.xlsx', 'x'), /'c.xlsx' is neither .csv/);
    assert.match(await write('d.jsonl', 'no json'), /d.jsonl: does not begin with a JSON object/);
    const named = { user: 'uid', item: 'sku', time: 'when' };
    assert.match(
      await write(
        'e.csv',
        rows(',', () => 'last week'),
        named,
      ),
      /times are neither numbers .* the first is 'last week'/,
    );
    assert.match(
      await write(
        'f.csv',
        rows(',', () => '11/08/2021'),
        named,
      ),
      /nor dates like 2021-08-11/,
    );
    assert.match(
      await failure(load({ name: 'own', own: { reviews: join(folder, 'no.csv'), columns: {} } })),
      /no.csv: does not exist/,
    );
  }));

test('single rows without a time are counted as bad', () =>
  inFolder(async (folder) => {
    const content = `${rows(',', iso)}\nu,s,soon,1\nu,s,2021-13-45,1\n`;
    await writeFiles(folder, { 'r.csv': content });
    const own = { reviews: join(folder, 'r.csv'), columns };
    const { manifest } = await load({ name: 'own', own });
    await writeFiles(folder, { 'far.csv': rows(',', (ms) => 10 * ms).replace(/,\d+,1\n/, ',1e300,1\n') });
    assert.match(
      await failure(load({ name: 'own', own: { ...own, reviews: join(folder, 'far.csv') } }, { kcore: 99 })),
      'lower data.kcore',
    );
    assert.equal(
      manifest.bad.map(({ reason, count, lines }) => ({ reason, count, lines })),
      [{ reason: 'timestamp is not a number', count: 2, lines: [62, 63] }],
    );
  }));

test('forms of time', () => {
  const utc = Date.UTC(2021, 7, 11, 0, 50, 43);
  for (const text of [
    '2021-08-11T00:50:43Z',
    '2021-08-11 00:50:43',
    '2021-08-11T02:50:43+02:00',
    '2021-08-10T20:50:43-04:00',
  ])
    assert.is(instantOf(text, timeFormat('f', [text])), utc, text);
  assert.is(instantOf('2021-08-11', timeFormat('f', ['2021-08-11'])), Date.UTC(2021, 7, 11));
  assert.is(timeFormat('f', ['0', 'x', '1628643043']), 'seconds');
  assert.is(timeFormat('f', [0, 1628643043000]), 'milliseconds');
});

test('--columns', () => {
  assert.equal(parseColumns('user=a, item=b b,text=c+d'), { user: 'a', item: 'b b', text: 'c+d' });
  for (const [text, message] of [
    ['user', "'user' is not of the form user=COLUMN"],
    ['user=', 'is not of the form'],
    ['usr=a', "unknown meaning of a column 'usr' (from --columns); did you mean 'user'?"],
  ])
    assert.throws(
      () => parseColumns(text),
      (error: Error) => error.message.includes(message),
    );
});

test('what --save writes names files beside it or below it from there, others by their whole path', () =>
  inFolder(async (folder) => {
    const [beside, apart] = [join(folder, 'shop'), join(folder, 'elsewhere')];
    await writeFiles(join(beside, 'data'), { 'a.csv': 'user,item,time\n' });
    await writeFiles(apart, { 'b.csv': 'item,title\n' });
    const save = join(beside, 'shop.yaml');
    describeOwn({ reviews: join(beside, 'data', 'a.csv'), items: join(apart, 'b.csv'), save });
    const { own } = parse(readFileSync(save, 'utf8'));
    assert.equal([own.reviews, own.items], [join('data', 'a.csv'), join(apart, 'b.csv')]);
  }));

test.run();
