import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProgressEvent } from '../../common/progress.ts';
import { splitOf } from '../../data/steps.ts';
import { failure, inFolder, load, spell, writeFiles } from './helpers.ts';

const header = 'user_id,parent_asin,rating,timestamp';
/** Four interactions of each of two users, times in ms. */
const ratings = ['u', 'v'].flatMap((user) =>
  [1, 2, 3, 4].map((i) => `${user},item${i},5.0,${1600000000000 + i}`),
);

test('CSV: quoted cells with commas, quotes and newlines', () =>
  inFolder(async (folder) => {
    await writeFiles(folder, {
      'X.csv': [header, ...ratings].join('\n'),
      'meta.csv':
        'parent_asin,title,description\nitem1,"A, ""B""\nC","[""d1"",""d2""]"\nitem2,T,\nitem3,T,x\nitem4,,\n',
    });
    const { itemIds, itemTexts, manifest } = await load(folder);
    const text = (item: string): string | undefined => itemTexts?.at(itemIds.indexOf(item));
    assert.is(text('item1'), 'A, "B" C   d1, d2. ');
    assert.is(text('item3'), 'T   x ');
    assert.is(text('item4'), '', 'an item may be without text');
    assert.is(manifest.layout, 'amazon-ratings');
  }));

test('CSV: bad rows are counted with their lines, good ones kept', () =>
  inFolder(async (folder) => {
    await writeFiles(folder, {
      'X.csv': [
        header,
        ...ratings,
        'w,item1,5.0',
        'w,item1,five,1600000000000',
        'w,item1,5.0,yesterday',
        'w,item2,5.0,',
        ',item1,5.0,1600000000000',
        'w,,5.0,1600000000000',
        'w,"a"b,5.0,1600000000000',
      ].join('\n'),
    });
    const events: ProgressEvent[] = [];
    const { manifest } = await load(folder, {}, events);
    const found = Object.fromEntries(
      manifest.bad.map(({ reason, count, lines }) => [reason, { count, lines }]),
    );
    assert.equal(found, {
      '3 columns where the header has 4': { count: 1, lines: [10] },
      'rating is not a number': { count: 1, lines: [11] },
      'timestamp is not a number': { count: 2, lines: [12, 13] },
      'no user id': { count: 1, lines: [14] },
      'no item id': { count: 1, lines: [15] },
      'broken CSV quoting': { count: 1, lines: [16] },
    });
    assert.equal(manifest.steps[0], { rule: 'read interactions', unit: 'rows', in: 15, out: 8 });
    assert.ok(events.some((event) => event.kind === 'warning' && event.text.startsWith('7 rows')));
    assert.match(await failure(load(folder, { strict: true })), /X\.csv: line 10: 3 columns.*data\.strict/);
  }));

test('CSV: unusable files say what is wrong', () =>
  inFolder(async (folder) => {
    const only = async (name: string, content: string, settings = {}): Promise<string> =>
      failure(load(await writeFiles(`${folder}/${name}-${content.length}`, { [name]: content }), settings));
    assert.match(await only('X.csv', 'user_id,parent_asin,rating\nu,i,5\n'), /line 1: no column 'timestamp'/);
    assert.match(await only('X.csv', `${header}\n`), /X\.csv: no usable interactions/);
    assert.match(
      await only('X.csv', `${header}\nu,i,5,never\n`),
      /1 could not be read; the first: line 2: timestamp/,
    );
    assert.match(
      await only('X.csv', `${header}\nu,i,5,1\nv,i,5,1\n`),
      /no rows are left \(.*every user has but one/,
    );
    assert.match(
      await only('X.csv', [header, ...ratings].join('\n'), { kcore: 50 }),
      /50-core; lower data\.kcore/,
    );
    assert.match(
      await only('X.csv', [header, ...ratings].join('\n'), { split: 'files' }),
      /data\.split=files needs/,
    );
    const early = [header, ...ratings].join('\n');
    const message = await only('X.csv', early, { split: 'timestamp' });
    assert.match(message, /no valid and no test rows.*2020-09-13 to 2020-09-13.*2021-08-11 and 2022-07-16/);
  }));

const review = (user: string, item: string, time: number): string =>
  JSON.stringify({ reviewerID: user, asin: item, overall: 4, unixReviewTime: 1400000000 + time });
const reviews = [1, 2, 3, 4].map((i) => review('u', `item${i}`, i));

test('JSON lines: broken lines, missing fields and non-objects are counted', () =>
  inFolder(async (folder) => {
    await writeFiles(folder, {
      'reviews.jsonl': [
        ...reviews,
        '{"reviewerID": "u", "asin": "x"',
        '[1]',
        '',
        '{"asin": "x", "unixReviewTime": 1}',
        '{"reviewerID": "u", "unixReviewTime": 1}',
        '{"reviewerID": "u", "asin": "x"}',
        '{"reviewerID": "u", "asin": "x", "unixReviewTime": 1, "overall": "good"}',
      ].join('\r\n'),
    });
    const { manifest } = await load(folder);
    assert.equal(
      manifest.bad.map(({ reason, lines }) => [reason, lines]),
      [
        ['broken JSON', [5]],
        ['not a JSON object', [6]],
        ['no user id', [8]],
        ['no item id', [9]],
        ['timestamp is not a number', [10]],
        ['rating is not a number', [11]],
      ],
    );
    assert.is(manifest.steps[0].note, 'timestamps were in seconds');
  }));

test('JSON: an array equals lines; gz equals plain', () =>
  inFolder(async (folder) => {
    const array = await load(
      await writeFiles(`${folder}/a`, { 'reviews.json': `[\n${reviews.join(',\n')}\n]` }),
    );
    const zipped = await load(await writeFiles(`${folder}/b`, { 'reviews.jsonl.gz': reviews.join('\n') }));
    assert.equal(spell(array, array.test), ['item1 item2 item3 > item4']);
    assert.equal(spell(zipped, zipped.test), spell(array, array.test));
    const broken = await writeFiles(`${folder}/c`, { 'reviews.json': `[\n${reviews.join(',\n')}` });
    assert.match(await failure(load(broken)), /reviews\.json: not valid JSON/);
    const empty = await writeFiles(`${folder}/d`, { 'reviews.json': '[]' });
    assert.match(await failure(load(empty)), /reviews\.json: the list is empty/);
    const blank = await writeFiles(`${folder}/e`, { 'reviews.jsonl': '' });
    assert.match(await failure(load(blank)), /reviews\.jsonl: the file is empty/);
  }));

test('gz: a file that ends in the middle, and one that is none', () =>
  inFolder(async (folder) => {
    const many = Array.from({ length: 20000 }, (_, i) => review(`user${i * 7919}`, `item${i}`, i)).join('\n');
    const whole = gzipSync(many);
    const cut = await writeFiles(`${folder}/a`, { 'reviews.jsonl.gz': whole.subarray(0, whole.length >> 1) });
    assert.match(
      await failure(load(cut)),
      /reviews\.jsonl\.gz: the gzip file ends in the middle, after line \d+; download/,
    );
    const plain = await writeFiles(`${folder}/b`, { 'reviews.jsonl.gz': Buffer.from(many) });
    assert.match(await failure(load(plain)), /the gzip file is damaged/);
    const csv = gzipSync(
      [header, ...Array.from({ length: 9999 }, (_, i) => `u${i * 31},i${i},5,${i}`)].join('\n'),
    );
    const cutCsv = await writeFiles(`${folder}/c`, { 'X.csv.gz': csv.subarray(0, csv.length >> 1) });
    assert.match(await failure(load(cutCsv)), /X\.csv\.gz: the gzip file ends in the middle, after line \d+/);
  }));

test('metadata: 2018 and 2023 names, duplicates, broken tags, items without metadata', () =>
  inFolder(async (folder) => {
    const lines = [
      { asin: 'item1', title: 'First', category: ['A', 'B'], feature: ['f'], description: ['d'] },
      { asin: 'item1', title: 'Second' },
      { asin: 'item2', title: '<span class="a-size-medium"', categories: ['C'] },
      { parent_asin: 'item3', asin: 'other', title: 'T &amp; U', videos: { user_id: [] } },
      { title: 'nameless' },
    ].map((record) => JSON.stringify(record));
    const more = [1, 2, 3].map((i) => review('v', `item${i}`, i));
    await writeFiles(folder, {
      'reviews.jsonl': [...reviews, ...more].join('\n'),
      'meta_x.jsonl': lines.join('\n'),
    });
    const { itemIds, itemTexts, manifest, test: rows } = await load(folder);
    const text = (item: string): string | undefined => itemTexts?.at(itemIds.indexOf(item));
    assert.is(text('item1'), 'First f. A, B. d. ');
    assert.is(text('item2'), '  C.  ');
    assert.is(text('item3'), 'T & U    ');
    assert.not(itemIds.includes('item4'), 'no metadata, no candidate');
    assert.equal(
      Array.from(rows.target, (item) => itemIds[item]),
      ['item3'],
      'the split is made before items without metadata are dropped',
    );
    const step = manifest.steps.find(({ rule }) => rule === 'drop items without metadata');
    assert.equal([step?.in, step?.out], [7, 6]);
    assert.is(
      step?.note,
      '5 metadata rows, 1 repeated an item (the first counts), 1 titles were the start of an HTML tag (taken as missing)',
    );
    assert.equal(
      manifest.bad.map(({ reason, lines: at }) => [reason, at]),
      [['no item id', [5]]],
    );
  }));

test('nested reviews bring titles', () =>
  inFolder(async (folder) => {
    const users = [
      {
        user_id: 'u',
        reviews: [1, 2, 3, 4].map((i) => ({
          parent_asin: `item${i}`,
          timestamp: 1600000000000 + i,
          rating: 1,
          title: 'my headline',
          product_name: `Product ${i}`,
        })),
      },
    ];
    const { itemTexts } = await load(await writeFiles(folder, { 'r.json': JSON.stringify(users, null, 2) }));
    assert.ok([...itemTexts!].every((text) => /^Product \d {4}$/.test(text)));
  }));

const inter = (rows: string[]): string =>
  ['user_id:token\titem_id:token\ttimestamp:float', ...rows].join('\n');

test('RecBole: typed headers, other columns as text, bad lines', () =>
  inFolder(async (folder) => {
    const rows = [1, 2, 3, 4].map((i) => `u\ti${i}\t${i}e9`);
    await writeFiles(folder, {
      'x.inter': inter([...rows, 'u\ti5', 'u\ti5\tsoon', '']),
      'x.item':
        'item_id:token\tmovie_title:token_seq\tyear:token\tclass:token_seq\ni1\tOne\t1999\tComedy Drama\ni2\tTwo\t1\tWar\ni3\tThree\t1\t\ni4\tFour\t1\tX\n',
    });
    const { itemIds, itemTexts, manifest } = await load(folder);
    assert.is(itemTexts?.at(itemIds.indexOf('i1')), 'One Comedy Drama');
    assert.is(itemTexts?.at(itemIds.indexOf('i3')), 'Three');
    assert.equal(
      manifest.bad.map(({ reason, lines }) => [reason, lines]),
      [
        ['2 columns where the header has 3', [6]],
        ['timestamp is not a number', [7]],
      ],
    );
  }));

test('RecBole: headers that cannot be used', () =>
  inFolder(async (folder) => {
    const fails = async (content: string): Promise<string> =>
      failure(load(await writeFiles(`${folder}/${content.length}`, { 'x.inter': content })));
    assert.match(
      await fails('user_id:token\titem_id:text\ttimestamp:float\n'),
      /'item_id:text' has no known type/,
    );
    assert.match(await fails('user_id\titem_id\ttimestamp\n'), /column 'user_id' has no known type/);
    assert.match(
      await fails('user_id:token\titem_id:token\n'),
      /no column 'timestamp:float'; the header has \[user_id/,
    );
    assert.match(await fails(''), /x\.inter: the file is empty/);
    assert.match(await fails(inter([])), /x\.inter: no usable interactions/);
  }));

const list = (rows: string[]): string =>
  ['user_id:token\titem_id_list:token_seq\titem_id:token', ...rows].join('\n');
const splitFiles = {
  'x.train.inter': list(['u\ta\tb', 'u\ta b\tc']),
  'x.valid.inter': list(['u\ta b c\td']),
  'x.test.inter': list(['u\ta b c d\te', 'v\ta z\te', 'v\t\te']),
};

test('pre-split: items in order of appearance, empty histories dropped, missing files named', () =>
  inFolder(async (folder) => {
    const dataset = await load(await writeFiles(`${folder}/a`, splitFiles));
    assert.equal(dataset.itemIds, ['b', 'a', 'c', 'd', 'e', 'z']);
    assert.equal(spell(dataset, dataset.test), ['a b c d > e', 'a z > e']);
    assert.is(dataset.manifest.counts.interactions, 6);
    assert.is(splitOf(dataset.manifest), 'files');
    const { 'x.valid.inter': _, ...rest } = splitFiles;
    assert.match(await failure(load(await writeFiles(`${folder}/b`, rest))), /x\.valid\.inter: missing/);
    assert.match(
      await failure(load(`${folder}/a`, { split: 'timestamp' })),
      /have no timestamps|has no timestamps|no timestamps/,
    );
    assert.match(await failure(load(`${folder}/a`, { kcore: 5 })), /data\.kcore=5 cannot be applied/);
  }));

test('pre-split: data_maps number the items, the feature matrix fits them', () =>
  inFolder(async (folder) => {
    const maps = {
      id2item: ['[PAD]', 'e', 'd', 'c', 'b', 'a', 'unused'],
      id2meta: { 0: '[PAD]', 1: 'text of e' },
    };
    const files = {
      ...splitFiles,
      'x.data_maps': JSON.stringify(maps),
      'x.m.feature': new Uint8Array(6 * 8 * 4),
    };
    const dataset = await load(await writeFiles(`${folder}/a`, files));
    assert.equal(dataset.itemIds, ['e', 'd', 'c', 'b', 'a', 'unused'], 'unused items are candidates here');
    assert.equal(dataset.itemTexts?.slice(0, 2), ['text of e', '']);
    assert.is(dataset.featureFile?.dims, 8);
    assert.equal(
      dataset.manifest.bad.map(({ reason, lines }) => [reason, lines]),
      [["an item is not in the source's own list of items", [3]]],
    );
    const wrong = await writeFiles(`${folder}/b`, { ...files, 'x.m.feature': new Uint8Array(6 * 8 * 4 + 4) });
    assert.match(await failure(load(wrong)), /x\.m\.feature: 196 bytes do not make float32 rows.*6 items/);
    const noList = await writeFiles(`${folder}/c`, { ...files, 'x.data_maps': '{}' });
    assert.match(await failure(load(noList)), /x\.data_maps: no list 'id2item'/);
    const broken = await writeFiles(`${folder}/d`, { ...files, 'x.data_maps': '{' });
    assert.match(await failure(load(broken)), /x\.data_maps: not valid JSON/);
    const twice = await writeFiles(`${folder}/e`, {
      ...files,
      'x.data_maps': '{"id2item":["[PAD]","a","a"]}',
    });
    assert.match(await failure(load(twice)), /names an item twice/);
  }));

test('pre-split: item2index must be a numbering', () =>
  inFolder(async (folder) => {
    const numbered = {
      'x.train.inter': list(['0\t0\t1']),
      'x.valid.inter': list(['0\t0 1\t2']),
      'x.test.inter': list(['0\t0 1 2\t3', '0\t0\t9']),
    };
    const dataset = await load(
      await writeFiles(`${folder}/a`, { ...numbered, 'x.item2index': 'w\t1\nv\t0\nx\t2\ny\t3\n' }),
    );
    assert.equal(dataset.itemIds, ['v', 'w', 'x', 'y']);
    assert.is(dataset.manifest.bad[0].count, 1);
    const gap = await writeFiles(`${folder}/b`, { ...numbered, 'x.item2index': 'v\t0\ny\t3\n' });
    assert.match(await failure(load(gap)), /no item has index 1/);
    const bad = await writeFiles(`${folder}/c`, { ...numbered, 'x.item2index': 'v\t0\nw\tone\n' });
    assert.match(await failure(load(bad)), /x\.item2index: line 2/);
  }));

test('benchmark CSV with histories: items without metadata leave histories', () =>
  inFolder(async (folder) => {
    const head = `${header},history`;
    await writeFiles(folder, {
      'X.train.csv': `${head}\nu,a,5,1600000000001,\nu,b,5,1600000000002,a\nu,gone,5,1600000000003,a b\nu,c,5,1600000000004,a b gone\n`,
      'X.valid.csv': `${head}\nu,d,5,1600000000005,a b gone c\nv,d,5,1600000000005,gone\n`,
      'X.test.csv': `${head}\nu,e,bad,1600000000006,a\nu,e,5,1600000000006,a b gone c d\n`,
      'meta_X.jsonl': ['a', 'b', 'c', 'd', 'e']
        .map((id) => `{"parent_asin":"${id}","title":"${id}"}`)
        .join('\n'),
    });
    const dataset = await load(folder);
    assert.equal(spell(dataset, dataset.train), ['a > b', 'a b > c']);
    assert.equal(spell(dataset, dataset.valid), ['a b c > d']);
    assert.equal(spell(dataset, dataset.test), ['a b c d > e']);
    assert.equal(
      [...dataset.pool].map((i) => dataset.itemIds[i]),
      ['a', 'b', 'c', 'd'],
    );
    assert.equal(
      dataset.manifest.bad.map(({ reason, lines }) => [reason, lines]),
      [['rating is not a number', [2]]],
    );
    const merged = await load(folder, { split: 'leave-last-out', kcore: 0 });
    assert.equal(spell(merged, merged.test), ['a b c d > e']);
  }));

test('benchmark CSV without histories: the files give the split, the times the histories', () =>
  inFolder(async (folder) => {
    await writeFiles(folder, {
      'X.train.csv': `${header}\nu,a,5,1600000000001\nu,b,5,1600000000002\n`,
      'X.valid.csv': `${header}\nu,c,5,1600000000003\n`,
      'X.test.csv': `${header}\nu,d,5,1600000000004\n`,
    });
    const dataset = await load(folder);
    assert.equal(spell(dataset, dataset.train), ['a > b']);
    assert.equal(spell(dataset, dataset.test), ['a b c > d']);
  }));

test('folders: unknown content, several datasets, cold items and users', () =>
  inFolder(async (folder) => {
    const none = await writeFiles(`${folder}/a`, { 'notes.txt': 'x' });
    assert.match(await failure(load(none)), /no dataset was recognised \(it holds notes\.txt\)/);
    const two = await writeFiles(`${folder}/b`, { 'x.inter': inter([]), 'y.inter': inter([]) });
    assert.match(await failure(load(two)), /several datasets in one folder \(x\.inter, y\.inter\)/);
    const cold = await writeFiles(`${folder}/c`, {
      ...splitFiles,
      'x.test.inter': list(['stranger\ta b\tnever-seen']),
    });
    const dataset = await load(cold);
    assert.is(dataset.userCount, 2, 'a user that only test rows name has a number');
    assert.ok(dataset.itemIds.includes('never-seen'), 'a cold item is a candidate');
  }));

test.run();
