import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Progress } from '../../common/progress.ts';
import type { Dataset } from '../../data/dataset.ts';
import { type Exported, exportDataset } from '../../data/export.ts';
import { type ExportFormat, exportFormats } from '../../data/export-formats.ts';
import { type DatasetSource, dataSettings, resolveSource } from '../../data/index.ts';
import { splitNames } from '../../data/table.ts';
import { skipped } from '../skip.ts';
import { failure, inFolder, load, realFolder, spell, writeFiles } from './helpers.ts';

const formats = Object.keys(exportFormats) as ExportFormat[];

function write(
  source: string | DatasetSource,
  format: ExportFormat,
  folder: string,
  settings: Record<string, unknown> = {},
): Promise<Exported> {
  const resolved = typeof source === 'string' ? { name: 'x', path: source } : source;
  const options = { format, folder, seed: 1, progress: new Progress() };
  return exportDataset(resolved, dataSettings.parse(settings), options);
}

/** Everything of a dataset that a model sees. */
function seen(dataset: Dataset) {
  const { itemIds, itemTexts, userCount } = dataset;
  const rows = splitNames.map((split) => ({
    user: [...dataset[split].user],
    rows: spell(dataset, dataset[split]),
  }));
  return { itemIds, itemTexts: itemTexts && [...itemTexts], userCount, rows };
}

const contents = (folder: string) =>
  Object.fromEntries(readdirSync(folder).map((file) => [file, readFileSync(join(folder, file), 'latin1')]));

/** Exports and reads back, and once more: nothing changes. */
async function roundTrip(
  source: string | DatasetSource,
  format: ExportFormat,
  folder: string,
  settings: Record<string, unknown> = {},
): Promise<void> {
  const before = await load(source, settings);
  const again = Object.fromEntries(
    (await write(source, format, join(folder, format), settings)).settings.map((set) => {
      const [key, value] = set.replace(/^data\./, '').split('=');
      return [key, value.includes(',') ? value.split(',').map(Number) : value];
    }),
  );
  const after = await load(join(folder, format), again);
  assert.equal(seen(after), seen(before), format);
  assert.equal(after.manifest.bad, [], format);
  await write(join(folder, format), format, join(folder, `${format}-2`), again);
  assert.equal(contents(join(folder, `${format}-2`)), contents(join(folder, format)), format);
}

/** Everything that a layout may stumble over: odd fields and ids, repeats, ties, missing texts, few users. */
const odd = {
  'reviews.jsonl': Array.from({ length: 120 }, (_, i) =>
    JSON.stringify({
      user_id: `u,${i % 15}`,
      parent_asin: `i"${(i * 7) % 23}`,
      rating: 1 + (i % 5),
      timestamp: 1.6e12 + 1000 * ((i * 31) % 97),
    }),
  ).join('\n'),
  'meta.jsonl': [
    { parent_asin: 'i"0', title: '"quoted" title', features: ['a', 'b\tc\nd'], description: 'line\r\nbreak' },
    { parent_asin: 'i"1', title: '["looks like", "a list"]', features: [], categories: 'text, not a list' },
    { parent_asin: 'i"2', title: '[brackets', features: null, description: ['é ü &amp;amp; <b>x</b>', '"'] },
    { parent_asin: 'i"3', title: '' },
    { parent_asin: 'i"4', title: '"""', features: ['"'], categories: ['\u{1F600}', "it's"] },
    { parent_asin: 'i"5', title: 'twice' },
    { parent_asin: 'i"5', title: 'twice, the second' },
    ...Array.from({ length: 14 }, (_, i) => ({
      parent_asin: `i"${i + 6}`,
      title: `{"json": ${i}}`,
      description: ` spaces ${i} `,
    })),
  ]
    .map((item) => JSON.stringify(item))
    .join('\n'),
};

for (const format of formats)
  test(`${format}: odd fields, repeats, ties and missing items come back`, () =>
    inFolder(async (folder) => {
      const source = await writeFiles(join(folder, 'source'), odd);
      await roundTrip(source, format, join(folder, 'plain'));
      const timestamps = [1.6e12 + 40_000, 1.6e12 + 70_000];
      const settings = { kcore: 3, text: 'search', split: 'timestamp', timestamps };
      await roundTrip(source, format, join(folder, 'core'), settings);
    }));

test('the demo, and real data, come back', () =>
  inFolder(async (folder) => {
    await roundTrip({ ...resolveSource('demo'), name: 'x' }, 'csv', join(folder, 'demo'));
    const real: Record<string, ExportFormat> = {
      'amazon2018-magazine-raw': 'recbole',
      'amazon2023-all-beauty-5core': 'csv-histories',
      'amazon2023-multicategory': 'parquet',
      'ml100k-r5h5': 'recbole-split',
    };
    for (const [name, format] of Object.entries(real)) {
      const source = realFolder(name);
      if (source) await roundTrip(source, format, join(folder, name));
      if (source && format === 'recbole-split')
        assert.match(
          await failure(write(source, 'csv', join(folder, 'no'))),
          /no timestamps; recbole-split can hold them, csv cannot/,
        );
    }
  }));

test('official files come out as they were, byte by byte', () =>
  inFolder(async (folder) => {
    const benchmark = realFolder('amazon2023-all-beauty-5core');
    if (benchmark) {
      const only = join(folder, 'All_Beauty');
      await mkdir(only);
      const files = splitNames.map((split) => `All_Beauty.${split}.csv`);
      for (const file of files) await copyFile(join(benchmark, file), join(only, file));
      await write({ name: 'All_Beauty', path: only }, 'csv-histories', join(folder, 'out'));
      assert.equal(contents(join(folder, 'out')), contents(only));
    }
    const beauty = realFolder('amazon2014-beauty');
    if (beauty) {
      await write({ name: 'amazon2014-beauty', path: beauty }, 'recbole', join(folder, 'recbole'));
      const file = 'amazon2014-beauty.inter';
      assert.is(
        readFileSync(join(folder, 'recbole', file), 'utf8'),
        readFileSync(join(beauty, file), 'utf8'),
      );
    }
  }));

test('what a layout cannot hold is refused, and nothing is left', () =>
  inFolder(async (folder) => {
    const rows = (user: string, item: string) =>
      ['user_id,parent_asin,timestamp', ...[1, 2, 3, 4].map((t) => `${user},${item}${t},${t}`)].join('\n');
    const spaced = await writeFiles(join(folder, 'a'), { 'x.csv': rows('u', 'an item ') });
    const out = join(folder, 'out');
    assert.match(await failure(write(spaced, 'csv-histories', out)), /cannot hold the id "an item 1"/);
    assert.match(
      await failure(write(spaced, 'recbole-split', out)),
      /cannot hold the id "an item \d": it has a space/,
    );
    await roundTrip(spaced, 'recbole', join(folder, 'b'));
    const tabbed = await writeFiles(join(folder, 'c'), { 'x.csv': rows('"a\tb"', 'i') });
    assert.match(
      await failure(write(tabbed, 'recbole', out)),
      /cannot hold the id "a\\tb"; csv or parquet can/,
    );
    await roundTrip(tabbed, 'csv', join(folder, 'd'));
    assert.not.ok(existsSync(out));
    assert.match(
      await failure(write(spaced, 'csv', join(folder, 'a'))),
      /there is something already; name a new folder/,
    );
  }));

const python = process.env.REC_PYTHON || 'python3';
const has = (modules: string) => spawnSync(python, ['-c', `import ${modules}`]).status === 0;

/** Runs the script beside this test, which prints what it read as JSON. */
function readInPython(folder: string) {
  const script = fileURLToPath(new URL('read_exports.py', import.meta.url));
  const { status, stdout, stderr } = spawnSync(python, [script, folder], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  assert.is(status, 0, stderr);
  return JSON.parse(stdout);
}

if (!has('pandas, pyarrow')) skipped(`${python} has no pandas and pyarrow, exports are not read in Python`);
else
  test('pandas reads what RecBole would, and Parquet', () =>
    inFolder(async (folder) => {
      const source = await writeFiles(join(folder, 'source'), odd);
      for (const format of ['recbole', 'parquet', 'csv'] as const)
        await write(source, format, join(folder, 'out', format), { kcore: 3 });
      const { recbole, parquet, csv } = readInPython(join(folder, 'out'));
      assert.equal(recbole.inter, parquet.inter);
      assert.equal(csv.inter, parquet.inter);
      assert.ok(parquet.inter.length > 60);
      const [user, item, rating, time] = parquet.inter[0];
      assert.equal(
        [typeof user, typeof item, typeof rating, typeof time],
        ['string', 'string', 'number', 'number'],
      );
      assert.equal(
        recbole.items,
        parquet.items.map(([id]: [string]) => id),
      );
      const lists = new Map(parquet.items);
      assert.equal(lists.get('i"0'), { title: '"quoted" title', features: ['a', 'b\tc\nd'] });
    }));

test.run();
