import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { listDatasets, resolveSource } from '../../data/index.ts';
import { failure, inFolder, load, spell, writeFiles } from './helpers.ts';

const resolving = (name: string): Promise<string> => failure((async () => resolveSource(name))());

test('names, aliases and paths', () =>
  inFolder(async (folder) => {
    assert.is(resolveSource('demo').generator, 'demo');
    assert.equal(resolveSource('beauty'), resolveSource('All_Beauty'));
    assert.equal(resolveSource('games').defaults, { data: { split: 'timestamp' } });
    assert.is(resolveSource('Office_Products').name, 'office');
    assert.is(resolveSource('baby').files?.metadata, 'raw/meta_categories/meta_Baby_Products.jsonl');
    const path = await writeFiles(`${folder}/my-data`, { 'x.inter': '' });
    assert.equal(resolveSource(path), { name: 'my-data', path });
    assert.match(await resolving(`${path}/x.inter`), /is a file; --dataset takes/);
    assert.match(await resolving(`${path}/nothing`), /nothing: no such folder/);
    assert.match(await resolving('./gamez'), /no such folder/);
    assert.match(await resolving('gamez'), /unknown dataset 'gamez'; did you mean 'games'\?/);
  }));

test('every dataset is listed with a summary', () => {
  const list = listDatasets();
  for (const name of ['demo', 'beauty', 'games', 'baby', 'games-size'])
    assert.ok(list.find((d) => d.name === name)?.summary);
  const amazon = list.filter(({ summary }) => summary.startsWith('Amazon Reviews 2023, '));
  assert.is(amazon.length, 34, '33 domains, and all of them');
  assert.is(amazon.find(({ name }) => name === 'Pet_Supplies')?.summary, 'Amazon Reviews 2023, Pet_Supplies');
  const { interactions, metadata } = resolveSource('all').files ?? {};
  assert.is(interactions?.length, 33);
  assert.ok(interactions?.includes('benchmark/0core/rating_only/Toys_and_Games.csv'));
  assert.ok(metadata?.includes('raw/meta_categories/meta_All_Beauty.jsonl'));
  assert.equal(
    list.filter(({ synthetic }) => synthetic).map(({ name }) => name),
    ['demo', 'games-size'],
  );
});

test('a variant is the same dataset in other files', () =>
  inFolder(async (folder) => {
    const before = process.env.REC_DATA;
    const { files, defaults } = resolveSource('Video_Games:raw');
    assert.equal(files, {
      interactions: 'raw/review_categories/Video_Games.jsonl',
      metadata: 'raw/meta_categories/meta_Video_Games.jsonl',
    });
    assert.equal(defaults, resolveSource('games').defaults);
    assert.is(resolveSource('all:raw').files?.interactions?.length, 33);
    assert.match(
      await resolving('games:rwa'),
      /unknown variant of dataset 'games' 'rwa'; did you mean 'raw'\?/,
    );
    assert.match(await resolving('demo:raw'), /unknown variant/);
    const review = (user: string, item: string, time: number): string =>
      `${JSON.stringify({ user_id: user, parent_asin: item, rating: 5, timestamp: time, text: 'good' })}\n`;
    const reviews = ['u', 'v'].map((user, k) =>
      ['a', 'b', 'c', 'd'].map((item, i) => review(user, item, 1.5e12 + 1e10 * i + k)).join(''),
    );
    await writeFiles(folder, {
      'raw/review_categories/Video_Games.jsonl': reviews.join(''),
      'raw/meta_categories/meta_Video_Games.jsonl': ['a', 'b', 'c', 'd']
        .map((item) => `${JSON.stringify({ parent_asin: item, title: `game ${item}` })}\n`)
        .join(''),
    });
    try {
      process.env.REC_DATA = folder;
      const { manifest, itemTexts } = await load(resolveSource('games:raw'));
      assert.is(manifest.counts.interactions, 8);
      assert.equal([...itemTexts!].map((text) => text.trim()).sort(), [
        'game a',
        'game b',
        'game c',
        'game d',
      ]);
    } finally {
      if (before === undefined) delete process.env.REC_DATA;
      else process.env.REC_DATA = before;
    }
  }));

test('files that are not there are named, with where to get them and where to put them', () =>
  inFolder(async (folder) => {
    const before = process.env.REC_DATA;
    try {
      delete process.env.REC_DATA;
      const unset = await failure(load(resolveSource('beauty')));
      assert.match(unset, /'beauty' needs 2 files that are not there\. Set REC_DATA/);
      process.env.REC_DATA = folder;
      const message = await failure(load(resolveSource('games')));
      for (const file of [
        'benchmark/0core/rating_only/Video_Games.csv',
        'raw/meta_categories/meta_Video_Games.jsonl',
      ]) {
        assert.ok(
          message.includes(
            `https://huggingface.co/datasets/McAuley-Lab/Amazon-Reviews-2023/resolve/main/${file}`,
          ),
        );
        assert.ok(message.includes(`${folder}/${file}`));
      }
      const row = (item: string, time: number): string => `u,${item},5,${time}`;
      const times = [1628643414041, 1628643414042, 1658002729836, 1658002729837];
      await writeFiles(folder, {
        'benchmark/0core/rating_only/Video_Games.csv': [
          'user_id,parent_asin,rating,timestamp',
          row('first', 1),
          ...times.map((time, i) => row(`item${i}`, time)),
        ].join('\n'),
        'Amazon-Reviews-2023/raw/meta_categories/meta_Video_Games.jsonl.gz': [
          'first',
          'item0',
          'item1',
          'item2',
          'item3',
        ]
          .map((id) => `{"parent_asin":"${id}","title":"T"}`)
          .join('\n'),
      });
      const source = resolveSource('games');
      const dataset = await load(source, { ...source.defaults?.data });
      assert.equal(spell(dataset, dataset.train), ['first > item0']);
      assert.equal(spell(dataset, dataset.valid), ['first item0 > item1', 'first item0 item1 > item2']);
      assert.equal(spell(dataset, dataset.test), ['first item0 item1 item2 > item3']);
    } finally {
      if (before === undefined) delete process.env.REC_DATA;
      else process.env.REC_DATA = before;
    }
  }));

test.run();
