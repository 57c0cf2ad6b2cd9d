import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Dataset } from '../../data/dataset.ts';
import { departments } from '../../data/demo-catalogue.ts';
import { inspectDataset, trainingCounts } from '../../data/index.ts';
import { splitOf } from '../../data/steps.ts';
import { failure, inFolder, load } from './helpers.ts';

const demo = (parameters: Record<string, unknown> = {}) => ({ name: 'demo', generator: 'demo', parameters });
const small = { users: 120, items: 150 };

test('the catalogue: what follows a type is a type of its department', () => {
  for (const { types } of departments)
    for (const [name, { next }] of Object.entries(types))
      for (const follower of next)
        assert.ok(follower in types && follower !== name, `${name} -> ${follower}`);
});

test('equal parameters make equal data, another seed other data', async () => {
  const make = async (parameters: Record<string, unknown>): Promise<Dataset> => {
    let made: Dataset | undefined;
    await inFolder(async () => {
      made = await load(demo(parameters), {}, [], Math.floor(Math.random() * 100));
    });
    return made as Dataset;
  };
  const first = await make(small);
  assert.equal(await make(small), first, "not even the run's seed matters");
  assert.not.equal((await make({ ...small, seed: 2 })).pool, first.pool);
});

test('it says that it is synthetic, has the promised size, texts for all, and cold items to find', () =>
  inFolder(async () => {
    const dataset = await load(demo());
    assert.ok(dataset.synthetic && dataset.manifest.synthetic);
    assert.is(splitOf(dataset.manifest), 'leave-last-out');
    assert.is(dataset.userCount, 2000);
    assert.ok(dataset.itemCount > 800 && dataset.itemCount <= 1000);
    const { interactions } = dataset.manifest.counts;
    assert.ok(interactions >= 12000 && interactions <= 16000, `${interactions} interactions`);
    assert.ok([...dataset.itemTexts!].every((text) => text.length > 100));
    const { cold } = inspectDataset(dataset);
    assert.ok(cold.testRows > 0.1 * 2000 && cold.testRows < 0.3 * 2000, `${cold.testRows} cold test rows`);
    assert.is(
      trainingCounts(dataset).reduce((sum, n) => sum + n, 0),
      interactions - 4000,
    );
    for (const rows of [dataset.train, dataset.valid, dataset.test])
      for (let i = 0; i < rows.target.length; i++)
        assert.not(dataset.pool.subarray(rows.start[i], rows.end[i]).includes(rows.target[i]));
  }));

test('what follows what: the next type is far likelier one that belongs to the last', () =>
  inFolder(async () => {
    const dataset = await load(demo());
    const { start, end, target } = dataset.test;
    const texts = [...dataset.itemTexts!];
    const names = departments.flatMap(({ types }) =>
      Object.entries(types).flatMap(([type, { names: all, next }]) =>
        all.map((name) => ({ name, type, next })),
      ),
    );
    const typeOf = (item: number) => names.find(({ name }) => texts[item].split(',')[0].endsWith(name));
    let follows = 0;
    for (let i = 0; i < target.length; i++) {
      const last = typeOf(dataset.pool[end[i] - 1]);
      const next = typeOf(target[i]);
      assert.ok(last && next && end[i] > start[i]);
      if (last?.next.includes(next?.type ?? '')) follows++;
    }
    assert.ok(follows / target.length > 0.4, `${follows} of ${target.length}`);
  }));

test("both of the paper's timestamps lie within", () =>
  inFolder(async () => {
    const { train, valid, test: rows, manifest } = await load(demo(), { split: 'timestamp' });
    assert.is(splitOf(manifest), 'timestamp');
    for (const { target } of [train, valid, rows]) assert.ok(target.length > 1000);
  }));

test('parameters are checked', async () => {
  assert.match(await failure(load(demo({ users: 1 }))), /parameters of the demo dataset:.*users/s);
  assert.match(await failure(load(demo({ size: 5 }))), /size/);
  assert.match(
    await failure(load({ name: 'x', generator: 'dema' })),
    /unknown generator 'dema'; did you mean 'demo'/,
  );
});

test.run();
