import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Progress } from '../../common/progress.ts';
import { seeded } from '../../common/random.ts';
import { Database, quoted } from '../../data/database.ts';
import { load, testFolder, writeFolder } from './task-files.ts';

const test = suite<{ folder: string }>('queries and pools that are made');
test.before((context) => {
  context.folder = testFolder();
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

const items = (domain: string, count: number) =>
  Array.from({ length: count }, (_, i) => ({
    parent_asin: `${domain}${i}`,
    title: `Thing ${i}..`,
    description: ['first', `of "${domain}"`],
  }));
const long =
  'a very good thing that does what it says and more, which I would buy again and again for my garden and house';

test('reviews as queries, with random items of the domain', async ({ folder }) => {
  const review = (asin: string, extra: object) => ({
    user_id: 'u',
    parent_asin: asin,
    timestamp: 1_600_000_000_000,
    rating: 5,
    title: 'Great &amp; <b>good</b>',
    text: long,
    ...extra,
  });
  const path = writeFolder(folder, 'reviews', {
    'meta_Games.jsonl': [...items('G', 200), items('G', 1)[0]],
    'meta_Care.jsonl': items('C', 20),
    'reviews.jsonl': [
      review('G7', {}),
      review('C3', {}),
      review('G8', { rating: 4 }),
      review('G9', { text: 'short' }),
      review('G10', { timestamp: 1 }),
      review('gone', {}),
    ],
  });
  const { task } = await load(path, { after: 2000, perQuery: 30 });
  assert.equal(task.queries, [
    { id: '0', text: `Great & good ${long}`, relevant: [{ item: 'G7', grade: 1 }] },
    { id: '1', text: `Great & good ${long}`, relevant: [{ item: 'C3', grade: 1 }] },
  ]);
  const ids = (domain: string) => task.pool.ids.filter((id) => id.startsWith(domain));
  assert.ok(ids('G').includes('G7') && [30, 31].includes(ids('G').length), `${ids('G').length}`);
  assert.is(ids('C').length, 20, 'a domain with fewer items than are wanted is taken whole');
  task.pool.ids.forEach((id, i) => {
    assert.is(task.pool.domains[task.pool.domain[i]], id.startsWith('G') ? 'Games' : 'Care');
    assert.is(task.pool.texts.at(i), `Thing ${id.slice(1)}. first of ${id[0]}. `);
  });
  assert.equal(
    task.manifest.steps.map((step) => [step.in, step.out]),
    [
      [6, 3],
      [3, 3],
      [3, 2],
      [220, task.pool.ids.length],
    ],
  );
  const again = await load(path, { after: 1999, perQuery: 30 });
  assert.equal(again.task.pool.ids, task.pool.ids, 'the same seed draws the same items');
  const fewer = await load(path, { queries: 1, perQuery: 0 });
  assert.is(fewer.task.queries.length, 1);
  assert.equal(fewer.task.pool.ids, [fewer.task.queries[0].relevant[0].item]);
});

test('reviews that carry their product', async ({ folder }) => {
  const one = (asin: string) => ({
    parent_asin: asin,
    timestamp_ms: 2e12,
    rating: 5,
    review_full: long,
    product: { title: `T ${asin}` },
  });
  const path = writeFolder(folder, 'nested', {
    'users.jsonl': [
      { user_id: 'a', category: 'Games', history: [one('A1'), one('A2')], heldout: one('A3') },
      { user_id: 'b', category: 'Care', history: [one('B1')] },
    ],
  });
  const { task } = await load(path);
  assert.equal(task.pool.ids, ['A1', 'A2', 'A3', 'B1']);
  assert.equal(task.pool.domains, ['Games', 'Care']);
  assert.equal([...task.pool.texts][1], 'T A2. ');
  assert.is(task.queries.length, 4);
});

test('pretraining pairs: reviews of the test split, all items', async ({ folder }) => {
  const tsv =
    'split\tdomain\tuser\titem\treview\tmetadata\ntrain\tG\tu\tI1\tr1\tm1\ntest\tG\tv\tI2\tr2\tm2\ntest\tC\tv\tI1\tr3\tm1\n';
  const { task } = await load(writeFolder(folder, 'pairs', { 'pairs.tsv': tsv }));
  assert.equal(task.pool.ids, ['I1', 'I2']);
  assert.equal(
    task.queries.map(({ text, relevant }) => [text, relevant[0].item]),
    [
      ['r2', 'I2'],
      ['r3', 'I1'],
    ],
  );
});

const examples = [
  // query_id, query, product_id, locale, label, small, split
  [1, ' salt\tgun ', 'G1', 'us', 'E', 1, 'test'],
  [1, ' salt\tgun ', 'G2', 'us', 'S', 1, 'test'],
  [1, ' salt\tgun ', 'G3', 'us', 'I', 1, 'test'],
  [1, ' salt\tgun ', 'G4', 'us', 'E', 1, 'test'],
  [2, 'pistola', 'G5', 'es', 'E', 1, 'test'],
  [3, 'easy', 'G6', 'us', 'E', 0, 'test'],
  [4, 'train', 'G7', 'us', 'E', 1, 'train'],
  [5, 'unknown item', 'X1', 'us', 'E', 1, 'test'],
  [6, 'cream', 'C1', 'us', 'C', 1, 'test'],
] as const;
const columns = ['query_id', 'query', 'product_id', 'product_locale', 'esci_label', 'small_version', 'split'];

for (const kind of ['csv', 'jsonl', 'parquet'] as const) {
  test(`ESCI's own files: ${kind}`, async ({ folder }) => {
    const rows = examples.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]])));
    const csv = `${columns.join()}\n${examples.map((row) => row.map((cell) => `"${cell}"`).join()).join('\n')}\n`;
    const name = `shopping_queries_dataset_examples.${kind}`;
    const path = writeFolder(folder, `esci-${kind}`, {
      'meta_Games.jsonl': items('G', 100),
      'meta_Care.jsonl': items('C', 5),
      ...(kind === 'csv' && { [name]: csv }),
      ...(kind === 'jsonl' && { [name]: rows }),
    });
    if (kind === 'parquet')
      await toParquet(writeFolder(folder, 'rows', { 'rows.jsonl': rows }), join(path, name));
    const { task } = await load(path, { perQuery: 10 });
    assert.equal(
      task.queries.map(({ text, relevant }) => [text, relevant]),
      [
        ['salt gun', [{ item: 'G1', grade: 1 }]],
        ['salt gun', [{ item: 'G4', grade: 1 }]],
      ],
    );
    assert.equal(
      task.manifest.steps.map((step) => step.out),
      [8, 7, 6, 3, 2, task.pool.ids.length],
    );
    assert.equal(task.manifest.gains, { Exact: 1 });
    assert.ok(task.pool.ids.every((id) => id.startsWith('G')));
    const graded = await load(path, { labels: 'graded', perQuery: 0 });
    assert.equal(
      graded.task.queries.map(({ text, relevant }) => [
        text,
        relevant.map(({ item, grade }) => `${item} ${grade}`),
      ]),
      [
        ['salt gun', ['G1 100', 'G2 10', 'G4 100']],
        ['cream', ['C1 1']],
      ],
    );
    assert.equal([...graded.task.pool.ids].sort(), ['C1', 'G1', 'G2', 'G4']);
  });
}

test("ESCI's own products as the pool", async ({ folder }) => {
  const rows = examples.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]])));
  const random = seeded('products');
  const products = random.shuffle(
    ['G1', 'G2', 'G4', 'G5'].map((id) => ({
      product_id: id,
      product_title: `Gun ${id}`,
      product_description: id === 'G2' ? null : 'For <b>bugs</b>.',
      product_locale: id === 'G5' ? 'es' : 'us',
    })),
  );
  const path = writeFolder(folder, 'products', { 'x_examples.jsonl': rows, 'x_products.jsonl': products });
  const { task } = await load(path);
  assert.equal([...task.pool.ids].sort(), ['G1', 'G2', 'G4']);
  assert.is(task.pool.texts.at(task.pool.ids.indexOf('G2')), 'Gun G2. ');
  assert.is(task.pool.texts.at(task.pool.ids.indexOf('G1')), 'Gun G1. For <b>bugs</b>. ');
});

async function toParquet(folder: string, to: string): Promise<void> {
  const options = { memoryGB: 1, spillFolder: join(folder, 'spill'), progress: new Progress() };
  await Database.with(options, (database) =>
    database.run(
      `COPY (SELECT * FROM read_json(${quoted(join(folder, 'rows.jsonl'))})) TO ${quoted(to)} (FORMAT parquet)`,
    ),
  );
}

test.run();
