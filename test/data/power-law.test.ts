import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Cancelled } from '../../common/errors.ts';
import { Progress } from '../../common/progress.ts';
import { dataSettings, loadDataset } from '../../data/index.ts';
import { failure, inFolder, load } from './helpers.ts';

const powerLaw = (parameters: Record<string, unknown> = {}) => ({
  name: 'power-law',
  generator: 'power-law',
  parameters: { items: 500, users: 1000, trainRows: 2000, ...parameters },
});

test('the size is exactly the one asked for; all items are candidates; users take different items', () =>
  inFolder(async () => {
    const dataset = await load(powerLaw());
    assert.ok(dataset.synthetic);
    assert.is(dataset.itemCount, 500);
    assert.is(dataset.train.target.length, 2000);
    assert.is(dataset.test.target.length, 1000);
    for (const { start, end, target } of [dataset.train, dataset.test])
      for (let i = 0; i < target.length; i++) {
        const history = dataset.pool.subarray(start[i], end[i]);
        assert.is(new Set([...history, target[i]]).size, history.length + 1);
      }
  }));

test('few items are taken often, few users are long', () =>
  inFolder(async () => {
    const { train, itemCount } = await load(powerLaw({ items: 2000, users: 4000, trainRows: 8000 }));
    const counts = new Int32Array(itemCount);
    for (const item of train.target) counts[item]++;
    counts.sort((a, b) => b - a);
    const top = counts.subarray(0, itemCount / 20).reduce((a, b) => a + b, 0);
    assert.ok(top > 0.35 * 8000, `a twentieth of the items has ${top} of 8000`);
    const longest = train.end.reduce((most, end, i) => Math.max(most, end - train.start[i]), 0);
    assert.ok(longest > 10 && longest <= 50, `${longest}`);
  }));

test('parameters are checked', async () => {
  assert.match(await failure(load(powerLaw({ items: 5 }))), /parameters of the power-law dataset/);
  assert.match(await failure(load(powerLaw({ trainRows: 60_000 }))), /cannot have 60000 training rows/);
  assert.match(
    await failure(load(powerLaw({ longest: 498 }))),
    /a user of 498 training rows \(longest\) has 501 different items, and there are 500/,
  );
});

test('it can be stopped where a user has to take items that are hardly ever drawn', () =>
  inFolder(async () => {
    let [making, looks] = [false, 0];
    const progress = new Progress(
      (event) => {
        making ||= event.kind === 'begin' && event.task.startsWith('make');
      },
      () => making && ++looks > 3,
    );
    const rare = powerLaw({ items: 100, users: 10, trainRows: 970, longest: 97, exponent: 12 });
    const work = loadDataset(rare, dataSettings.parse({}), { progress, seed: 1 });
    assert.instance(await work.catch((reason: unknown) => reason), Cancelled);
  }));

test.run();
