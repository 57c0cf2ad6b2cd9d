import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { writeTask } from '../../search/store.ts';
import { load, testFolder, writeFolder } from './task-files.ts';

const test = suite<{ folder: string }>('queries CSV and pool JSON Lines');
test.before((context) => {
  context.folder = testFolder();
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

const pool = [
  { item_id: 'B1', category: 'Games', metadata: 'A gun, "salt"\nfor bugs.' },
  { item: 'B2', category: 'Care', metadata: 'Sunscreen – fünf' },
  { item_id: 'B3', metadata: '' },
];

test('Amazon-C4', async ({ folder }) => {
  const csv =
    'qid,query,item_id,user_id,ori_rating,ori_review\n7,"I want a gun, for ""bugs""\nin gardens ",B1,U,5,x\n8,sun,B2,U,5,x\n';
  const path = writeFolder(folder, 'c4', { 'test.csv': csv, 'sampled_item_metadata_1M.jsonl': pool });
  for (let time = 0; time < 2; time++) {
    const { task, said } = await load(path);
    assert.equal(said, []);
    assert.equal(task.pool.ids, ['B1', 'B2', 'B3']);
    assert.equal([...task.pool.texts], [pool[0].metadata, pool[1].metadata, '']);
    assert.equal(
      Array.from(task.pool.domain, (d) => task.pool.domains[d]),
      ['Games', 'Care', ''],
    );
    assert.equal(task.queries, [
      { id: '7', text: 'I want a gun, for "bugs"\nin gardens', relevant: [{ item: 'B1', grade: 1 }] },
      { id: '8', text: 'sun', relevant: [{ item: 'B2', grade: 1 }] },
    ]);
    assert.equal(task.manifest.counts, { items: 3, queries: 2, judgments: 2, domains: 3 });
  }
});

test("ESCI as the paper's authors processed it: an index column, and several items of one query", async ({
  folder,
}) => {
  const csv = ',qid,query,item_id\n0,0,salt gun,B1\n1,1,cream,B2\n2,1,cream,B3\n';
  const { task } = await load(writeFolder(folder, 'esci', { 'test.csv': csv, 'pool.jsonl': pool }));
  assert.equal(
    task.queries.map(({ relevant }) => relevant.map(({ item }) => item)),
    [['B1'], ['B2', 'B3']],
  );
});

test('rows that cannot be used are counted', async ({ folder }) => {
  const csv =
    'qid,query,item_id\n1,a,B1\n,b,B1\n2,c,\n3,d,B 1\n1,other text,B2\n1,a,B1\n4,,B9\n5,too,many,columns\n';
  const items = [...pool, { item_id: 'B1', metadata: 'again' }, { metadata: 'no id' }, { item_id: 'B4' }, 7];
  const path = writeFolder(folder, 'bad', { 'q.csv': csv, 'pool.jsonl': items as object[] });
  const { task, said } = await load(path);
  assert.match(said.join(), '10 rows could not be used');
  const reasons = task.manifest.bad.map(({ reason, count, lines }) => [reason, count, lines[0]]);
  assert.equal(reasons, [
    ['an item id that was there before', 1, 4],
    ['no item id, or one with white space', 1, 5],
    ['no metadata', 1, 6],
    ['not a JSON object', 1, 7],
    ['no query id, or one with white space', 1, 3],
    ['no item id, or one with white space', 2, 4],
    ['a query id that was there before, with another text', 1, 6],
    ['a row that repeats another', 1, 7],
    ['4 columns where the header has 3', 1, 9],
  ]);
  assert.equal(
    task.queries.map(({ id, text }) => [id, text]),
    [
      ['1', 'a'],
      ['4', ''],
    ],
  );
  await rejects(load(path, { strict: true }), 'pool.jsonl: line 4: an item id that was there before');
});

test('nothing to search', async ({ folder }) => {
  await rejects(
    load(writeFolder(folder, 'other', { 'a.txt': 'x' })),
    'no search task was recognised (it holds a.txt)',
  );
  await rejects(load(join(folder, 'nowhere')), 'does not exist');
  const none = writeFolder(folder, 'none', { 'q.csv': 'qid,query,item_id\n', 'p.jsonl': pool });
  await rejects(load(none), 'no usable queries');
  const empty = writeFolder(folder, 'empty', {
    'q.csv': 'qid,query,item_id\n1,a,B1\n',
    'p.jsonl': [{ item: '', metadata: 1 }],
  });
  await rejects(load(empty), 'no usable items. 1 rows could not be used; the first:');
});

test('a cached task that was cut short is read again', async ({ folder }) => {
  const path = writeFolder(folder, 'cut', { 'q.csv': 'qid,query,item_id\n1,cut,B1\n', 'p.jsonl': pool });
  const { task } = await load(path);
  const cache = join(folder, 'cache', 'search');
  const [name] = readdirSync(cache).filter((one) => one === `task-${task.manifest.hash.slice(0, 16)}`);
  truncateSync(join(cache, name, 'texts.jsonl'), 3);
  const again = await load(path);
  assert.match(again.said.join(), 'the search task is read again');
  assert.equal([...again.task.pool.texts], [pool[0].metadata, pool[1].metadata, '']);
});

test('a task that others have is neither removed nor written anew', async ({ folder }) => {
  const path = writeFolder(folder, 'shared', {
    'q.csv': 'qid,query,item_id\n1,shared,B1\n',
    'p.jsonl': pool,
  });
  const { task } = await load(path);
  const cached = join(folder, 'cache', 'search', `task-${task.manifest.hash.slice(0, 16)}`);
  const seal = readFileSync(join(cached, 'seal.json'));
  // Who lacked it when it looked, and read the same source meanwhile.
  await writeTask(cached, async () => ({ ...task.manifest, name: 'another' }));
  assert.ok(readFileSync(join(cached, 'manifest.json'), 'utf8').includes('"name": "test"'));
  rmSync(join(cached, 'seal.json'));
  mkdirSync(join(cached, 'seal.json'));
  await rejects(load(path), 'seal.json: is a folder, a file was expected');
  rmSync(join(cached, 'seal.json'), { recursive: true });
  writeFileSync(join(cached, 'seal.json'), seal);
  assert.equal((await load(path)).said, []);
});

async function rejects(promise: Promise<unknown>, message: string): Promise<void> {
  await promise.then(
    () => assert.unreachable('it did not fail'),
    (error) => {
      assert.instance(error, UserError);
      assert.match(error.message, message);
    },
  );
}

test.run();
