import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { TopItems } from '../../evaluation/scan.ts';
import { TopFinder } from '../../training/tops.ts';
import { DEVICES } from '../models/support.ts';

/** Random whole vectors, whose products are exact, and for every row its k best items both ways. */
async function bothTops(given: { items: number; d: number; rows: number; k: number; most: number }) {
  const { items, d, rows, k, most } = given;
  const random = seeded('tops', items, d, most);
  const draw = (count: number) =>
    Float32Array.from({ length: count }, () => random.below(2 * most + 1) - most);
  const [table, queries] = [draw(items * d), draw(rows * d)];
  const finder = new TopFinder({ device: DEVICES[1] });
  finder.follow({ dtype: 'float32', shape: [items, d], data: table });
  const found = await finder.find(queries, k);
  await finder.close();
  const [short, scanned] = [new TopItems(k), new TopItems(k)];
  const pairs = Array.from({ length: rows }, (_, row) => {
    const scores = Float32Array.from({ length: items }, (_, item) => {
      let sum = 0;
      for (let j = 0; j < d; j++) sum += table[item * d + j] * queries[row * d + j];
      return sum;
    });
    scanned.scan(scores);
    short.clear();
    if (found)
      for (let p = row * found.width; p < (row + 1) * found.width; p++)
        short.offer(found.items[p], found.scores[p]);
    return [[...short.items], [...scanned.items]];
  });
  return { found, pairs };
}

for (const [items, d, rows, k, most] of [
  [1000, 4, 20, 8, 1],
  [1000, 4, 20, 5, 50],
  [4099, 3, 9, 50, 3],
  [4096, 8, 9, 64, 0],
  [70_001, 2, 300, 10, 5],
]) {
  test(`the short list holds the top ${k} of ${items} items, ties by id (numbers to ${most})`, async () => {
    const { found, pairs } = await bothTops({ items, d, rows, k, most });
    assert.ok(found && found.width < items / 2);
    for (const [short, scanned] of pairs) assert.equal(short, scanned);
  });
}

test('where the list would be long, the scores are to be looked at', async () => {
  assert.is((await bothTops({ items: 1000, d: 3, rows: 2, k: 20, most: 3 })).found, undefined);
  assert.is((await bothTops({ items: 3, d: 3, rows: 2, k: 1, most: 3 })).found, undefined);
  assert.is((await bothTops({ items: 5000, d: 200, rows: 2, k: 5, most: 3 })).found, undefined);
});

test.run();
