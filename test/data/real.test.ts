import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { trainingCounts } from '../../data/index.ts';
import { inspectDataset } from '../../data/inspect.ts';
import { paperTimestamps } from '../../data/settings.ts';
import { splitNames } from '../../data/table.ts';
import { inFolder, load, realFolder, spell } from './helpers.ts';
import {
  type Interaction,
  officialFilter,
  officialItems,
  officialSplit,
  type Splits,
  spellOut,
} from './official.ts';

const lines = (path: string): string[] => readFileSync(path, 'utf8').trimEnd().split('\n');

async function assertEqualsOfficial(folder: string, settings: Record<string, unknown>, expected: Splits) {
  const dataset = await load(folder, settings);
  for (const split of splitNames) assert.equal(spell(dataset, dataset[split]), spellOut(expected[split]));
  assert.equal(dataset.itemIds, officialItems(expected));
  return dataset;
}

const scientific = realFolder('amazon2018-scientific');
if (scientific)
  test("Scientific: rows, candidates and texts are the files'", () =>
    inFolder(async () => {
      const dataset = await load(scientific);
      assert.equal(
        [dataset.userCount, dataset.itemCount, dataset.train.target.length, dataset.test.target.length],
        [8442, 4385, 34101, 8442],
      );
      const byIndex = lines(join(scientific, 'Scientific.item2index')).map((line) => line.split('\t')[0]);
      assert.equal(dataset.itemIds, byIndex);
      for (const split of splitNames) {
        const expected = lines(join(scientific, `Scientific.${split}.inter`))
          .slice(1)
          .map((line) => line.split('\t'))
          .map(
            ([, list, item]) =>
              `${list
                .split(' ')
                .map((i) => byIndex[Number(i)])
                .join(' ')} > ${byIndex[Number(item)]}`,
          );
        assert.equal(spell(dataset, dataset[split]), expected);
      }
      const texts = new Map(
        lines(join(scientific, 'Scientific.text')).map((line) => line.split('\t') as [string, string]),
      );
      const at = dataset.itemIds.indexOf('B0000223SI');
      assert.is(dataset.itemTexts?.at(at)?.trim(), texts.get('B0000223SI')?.trim());
      assert.ok(dataset.pool.length <= 34101 + 2 * 8442, 'prefixes are stored once');
    }));

const movies = realFolder('ml100k-r5h5');
if (movies)
  test('ml100k: rows equal the .tsv files, item ids the rows of the feature matrix', () =>
    inFolder(async () => {
      const dataset = await load(movies);
      for (const split of splitNames) {
        const expected = lines(join(movies, `${split}.tsv`))
          .slice(1)
          .map((line) => line.split('\t'))
          .map(([, history, item]) => `${history} > ${item}`);
        assert.equal(spell(dataset, dataset[split]), expected);
      }
      const map = lines(join(movies, 'item_map.tsv'))
        .slice(1)
        .map((line) => line.split('\t'));
      assert.equal(
        dataset.itemIds,
        map.map(([, id]) => id),
      );
      assert.equal(
        [...dataset.itemTexts!],
        map.map(([, , text]) => text),
      );
      assert.is(dataset.featureFile?.dims, 768);
      assert.equal([dataset.userCount, dataset.itemCount], [895, 1172]);
      const longest = Math.max(...dataset.train.end.map((end, i) => end - dataset.train.start[i]));
      assert.is(longest, 5, 'histories stay as short as the files have them');
    }));

const beauty2014 = realFolder('amazon2014-beauty');
if (beauty2014)
  test('Beauty 2014: leave-last-out and its counts', () =>
    inFolder(async () => {
      const interactions: Interaction[] = lines(join(beauty2014, 'amazon2014-beauty.inter'))
        .slice(1)
        .map((line) => line.split('\t'))
        .map(([user, item, time]) => ({ user, item, time: Number(time) }));
      const all = officialSplit(interactions);
      const dataset = await assertEqualsOfficial(
        beauty2014,
        {},
        officialFilter(all, () => true),
      );
      assert.equal(dataset.manifest.counts, {
        users: 22332,
        items: 12086,
        interactions: 198215,
        train: 131219,
        valid: 22332,
        test: 22332,
      });
      const popular = new Map<string, number>();
      for (const { target } of all.train) popular.set(target, (popular.get(target) ?? 0) + 1);
      const counts = trainingCounts(dataset);
      for (let i = 0; i < counts.length; i++) assert.is(counts[i], popular.get(dataset.itemIds[i]) ?? 0);
    }));

const allBeauty = realFolder('amazon2023-all-beauty-5core');
if (allBeauty) {
  const read = (split: string) =>
    lines(join(allBeauty, `All_Beauty.${split}.csv`))
      .slice(1)
      .map((line) => line.split(','))
      .map(([user, item, , time, history]) => ({
        user,
        item,
        target: item,
        time: Number(time),
        history: history.trim().split(' ').filter(Boolean),
      }));
  const rows = { train: read('train'), valid: read('valid'), test: read('test') };
  const interactions = [...rows.train, ...rows.valid, ...rows.test];

  test("All_Beauty: the files' split is kept, and leave-last-out made anew equals it", () =>
    inFolder(async () => {
      const expected = officialFilter(rows, () => true);
      await assertEqualsOfficial(allBeauty, {}, expected);
      const files = await load(allBeauty, { split: 'files' });
      const anew = await load(allBeauty, { split: 'leave-last-out' });
      for (const split of splitNames) {
        assert.equal(spell(anew, anew[split]).sort(), spell(files, files[split]).sort());
        assert.equal(
          spell(anew, anew[split]),
          spellOut(officialFilter(officialSplit(interactions), () => true)[split]),
        );
      }
      assert.equal(files.manifest.counts, anew.manifest.counts);
      assert.equal(trainingCounts(files).toSorted(), trainingCounts(anew).toSorted());
    }));

  test('All_Beauty: the timestamp split of the merged files', () =>
    inFolder(async () => {
      const expected = officialFilter(
        officialSplit(interactions, [...paperTimestamps] as [number, number]),
        () => true,
      );
      const dataset = await assertEqualsOfficial(allBeauty, { split: 'timestamp' }, expected);
      assert.ok(dataset.valid.target.length > 0 && dataset.test.target.length > 0);
    }));
}

const magazines = realFolder('amazon2018-magazine-raw');
if (magazines)
  test('magazines 2018: raw gz files, their dirt counted', () =>
    inFolder(async () => {
      const records = (name: string): Record<string, unknown>[] =>
        gunzipSync(readFileSync(join(magazines, name)))
          .toString()
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line));
      const metadata = records('meta_Magazine_Subscriptions.json.gz');
      const known = new Set(metadata.map(({ asin }) => asin));
      const interactions = records('Magazine_Subscriptions_5.json.gz').map((review) => ({
        user: String(review.reviewerID),
        item: String(review.asin),
        time: Number(review.unixReviewTime),
      }));
      const expected = officialFilter(officialSplit(interactions), (item) => known.has(item));
      const dataset = await assertEqualsOfficial(magazines, {}, expected);
      assert.not(
        [...dataset.itemTexts!].some((text) => text.includes('<span')),
        'broken tags are no titles',
      );
      const step = (rule: string) => dataset.manifest.steps.find((s) => s.rule.startsWith(rule));
      assert.equal([step('keep the earliest')?.in, step('keep the earliest')?.out], [2375, 2302]);
      assert.match(
        step('drop items without metadata')?.note ?? '',
        /^3385 metadata rows, 1065 repeated an item/,
      );
      const fiveCore = await load(magazines, { kcore: 5 });
      const counts = fiveCore.manifest.steps.find((s) => s.rule === '5-core');
      assert.ok(counts && counts.in === 2302 && counts.out < counts.in);
    }));

const categories = realFolder('amazon2023-multicategory');
if (categories)
  test('24 categories: users with nested reviews, several files, texts inside the reviews', () =>
    inFolder(async () => {
      const interactions = ['test', 'training', 'validation'].flatMap((file) =>
        lines(join(categories, `${file}.jsonl`)).flatMap((line) => {
          const { user_id, history, heldout } = JSON.parse(line);
          return [...history, heldout].map((review: Record<string, number | string>) => ({
            user: user_id as string,
            item: review.parent_asin as string,
            time: review.timestamp_ms as number,
          }));
        }),
      );
      assert.is(interactions.length, 3455);
      const dataset = await assertEqualsOfficial(
        categories,
        {},
        officialFilter(officialSplit(interactions), () => true),
      );
      const summary = inspectDataset(dataset);
      assert.is(summary.texts?.empty, 74);
      assert.is(summary.examples.length, 3);
      assert.is(summary.histories.test.rows, dataset.test.target.length);
    }));

test.run();
