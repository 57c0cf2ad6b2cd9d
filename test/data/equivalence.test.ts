import { existsSync, readdirSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Random, seeded } from '../../common/random.ts';
import type { Dataset } from '../../data/dataset.ts';
import { splitNames } from '../../data/table.ts';
import { failure, inFolder, load, spell, writeFiles } from './helpers.ts';
import {
  type Interaction,
  officialFilter,
  officialItems,
  officialKCore,
  officialSplit,
  officialUsers,
  type Splits,
  spellOut,
} from './official.ts';

// Preparation against the official scripts, written plainly in memory: random tables through every format and rule.

interface Table {
  interactions: Interaction[];
  described: string[];
}

/** Reviews with repeats, ties of time, users and items of one interaction, items without metadata. */
function randomTable(random: Random, size: number): Table {
  const [users, items] = [1 + random.below(size / 3), 1 + random.below(size / 4)];
  const interactions = Array.from({ length: size }, () => ({
    user: `u${Math.floor(users * random.uniform() ** 2)}`,
    item: `i${Math.floor(items * random.uniform() ** 2)}`,
    time: 1600000000000 + random.below(50),
  }));
  const names = Array.from({ length: items }, (_, i) => `i${i}`);
  return { interactions, described: names.filter(() => random.uniform() < 0.8) };
}

const metadata = ({ described }: Table): string =>
  described.map((id) => JSON.stringify({ parent_asin: id, title: `Title of ${id}` })).join('\n');

const formats: Record<string, (table: Table) => Record<string, string>> = {
  csv: ({ interactions }) => ({
    'x.csv': [
      'user_id,parent_asin,rating,timestamp',
      ...interactions.map(({ user, item, time }, i) =>
        i % 3 ? `${user},${item},5,${time}` : `"${user}",${item},5.0,${time}`,
      ),
    ].join('\n'),
  }),
  'json lines, zipped': ({ interactions }) => ({
    'x.jsonl.gz': interactions
      .map(({ user, item, time }) =>
        JSON.stringify({ text: 'a "b"\n', user_id: user, parent_asin: item, timestamp: time, rating: 4 }),
      )
      .join('\n'),
  }),
  'json array': ({ interactions }) => ({
    'x.json': JSON.stringify(
      interactions.map(({ user, item, time }) => ({ reviewerID: user, asin: item, timestamp: time })),
    ),
  }),
};

function check(dataset: Dataset, expected: Splits): void {
  for (const split of splitNames) {
    assert.equal(spell(dataset, dataset[split]), spellOut(expected[split]), split);
    const users = officialUsers(expected);
    assert.equal(
      Array.from(dataset[split].user, (user) => users[user]),
      expected[split].map(({ user }) => user),
      `users of ${split}`,
    );
  }
  assert.equal(dataset.itemIds, officialItems(expected));
  assert.is(dataset.pool.length, dataset.manifest.counts.interactions);
}

for (const [format, files] of Object.entries(formats))
  test(`random tables as ${format}`, () =>
    inFolder(async (folder) => {
      for (let seed = 0; seed < 6; seed++) {
        const random = seeded('equivalence', format, seed);
        const table = randomTable(random, 40 + random.below(400));
        const kcore = seed % 3;
        const timestamps: [number, number] | undefined =
          seed % 2 ? [1600000000010, 1600000000030] : undefined;
        const withMetadata = seed % 4 < 2;
        const path = await writeFiles(`${folder}/${seed}`, {
          ...files(table),
          ...(withMetadata && { 'meta.jsonl': metadata(table) }),
        });
        const known = new Set(table.described);
        const expected = officialFilter(
          officialSplit(officialKCore(table.interactions, kcore), timestamps, table.interactions),
          (item) => !withMetadata || known.has(item),
        );
        const settings = { kcore, ...(timestamps && { split: 'timestamp', timestamps }) };
        if (splitNames.some((split) => !expected[split].length)) {
          assert.match(
            await failure(load(path, settings)),
            /no rows are left|the split leaves no|no interactions/,
          );
          continue;
        }
        const dataset = await load(path, settings);
        check(dataset, expected);
        if (withMetadata)
          assert.equal(
            [...dataset.itemTexts!],
            dataset.itemIds.map((id) => `Title of ${id}    `),
          );
      }
    }));

test('random tables whose files are split in no order of time', () =>
  inFolder(async (folder) => {
    for (let seed = 0; seed < 5; seed++) {
      const random = seeded('equivalence', 'files', seed);
      const { interactions } = randomTable(random, 300);
      const bySplit = splitNames.map((name, split) => ({
        name,
        rows: interactions.filter((_, i) => (i * 7 + seed) % 3 === split),
      }));
      const path = await writeFiles(
        `${folder}/${seed}`,
        Object.fromEntries(
          bySplit.map(({ name, rows }) => [
            `x.${name}.csv`,
            [
              'user_id,parent_asin,rating,timestamp',
              ...rows.map(({ user, item, time }) => `${user},${item},1,${time}`),
            ].join('\n'),
          ]),
        ),
      );
      const inFiles = bySplit.flatMap(({ name, rows }) => rows.map((row) => ({ ...row, name })));
      const expected = officialSplit(inFiles, ({ name }) => name);
      check(
        await load(path),
        officialFilter(expected, () => true),
      );
    }
  }));

test('tables that do not fit into memory: the same as those that do', () =>
  inFolder(async (folder) => {
    // Long ids that compress badly, in no order.
    const user = (i: number) => `${(i * 2654435761) % 4294967296}-${'x'.repeat(100)}-${i * 7919}`;
    const rows = Array.from(
      { length: 300_000 },
      (_, i) => `${user((i * 7) % 60_000)},i${(i * 31) % 977},5,${1.6e12 + ((i * 104729) % 300_007)}`,
    );
    const path = await writeFiles(`${folder}/data`, {
      'x.csv': ['user_id,parent_asin,rating,timestamp', ...rows].join('\n'),
    });
    const spill = `${folder}/spill`;
    let spilled = 0;
    const watch = setInterval(() => {
      const files = existsSync(spill) ? readdirSync(spill, { recursive: true }) : [];
      spilled = Math.max(spilled, files.length);
    }, 5);
    const small = await load(path, { memoryGB: 0.1, tempFolder: spill }).finally(() => clearInterval(watch));
    assert.ok(spilled > 1, 'memory was too little');
    assert.equal(readdirSync(spill), []);
    process.env.REC_CACHE = `${folder}/other-cache`;
    const large = await load(path);
    assert.equal(small.manifest, large.manifest);
    assert.equal(small.itemIds, large.itemIds);
    assert.ok(small.train.target.length > 100_000);
    for (const array of ['pool', 'train', 'valid', 'test'] as const) assert.equal(small[array], large[array]);
  }));

test.run();
