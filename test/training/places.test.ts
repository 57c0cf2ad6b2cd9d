import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { Progress } from '../../common/progress.ts';
import { type Random, seeded } from '../../common/random.ts';
import type { Rows } from '../../data/dataset.ts';
import { rankAll, type Scorer } from '../../evaluation/ranking.ts';
import type { RankingOptions } from '../../evaluation/tally.ts';
import { PlaceFinder } from '../../training/places.ts';
import { ModelScorer } from '../../training/scorer.ts';
import { TopFinder } from '../../training/tops.ts';
import { build, DEVICES, ITEMS, stir, textFor, variants } from '../models/support.ts';
import { randomDataset } from './support.ts';

const options: RankingOptions = {
  topk: [1, 10],
  filterSeen: false,
  batchSize: 16,
  lists: false,
  progress: new Progress(),
};

interface Case {
  items: number;
  d: number;
  rows: number;
  /** One number of a vector. */
  draw(random: Random): number;
  /** Share of items whose vector is another item's. */
  duplicates?: number;
}

/** Random vectors and rows, a scorer that gives their scores, and one that also finds places. */
function make({ items, d, rows: rowCount, draw, duplicates = 0 }: Case) {
  const random = seeded('places', items, d);
  const table = Float32Array.from({ length: items * d }, () => draw(random));
  for (let item = 1; item < items; item++) {
    if (random.uniform() >= duplicates) continue;
    const other = random.below(item);
    table.copyWithin(item * d, other * d, (other + 1) * d);
  }
  const queries = Float32Array.from({ length: rowCount * d }, () => draw(random));
  const pool = Int32Array.from({ length: 40 * rowCount }, () => random.below(items));
  const start = Int32Array.from({ length: rowCount }, (_, i) => 40 * i);
  const rows: Rows = {
    user: Int32Array.from({ length: rowCount }, (_, i) => i),
    start,
    end: start.map((s, i) => s + (i % 5 ? random.below(8) : random.below(41))),
    target: Int32Array.from({ length: rowCount }, () => random.below(items)),
  };
  const scored: number[] = [];
  const score: Scorer['score'] = async (_, first, count) => {
    const tile = new Float32Array(count * items);
    for (let i = 0; i < count; i++) {
      scored.push(first + i);
      for (let item = 0; item < items; item++) {
        let sum = 0;
        for (let k = 0; k < d; k++)
          sum = Math.fround(sum + queries[(first + i) * d + k] * table[item * d + k]);
        tile[i * items + item] = sum;
      }
    }
    return tile;
  };
  const finder = new PlaceFinder({ device: DEVICES[1] });
  const rank: Scorer['rank'] = (_, first, count, seen) =>
    finder.find(
      queries.subarray(first * d, (first + count) * d),
      rows.target.subarray(first, first + count),
      seen,
      16,
    );
  const tops = new TopFinder({ device: DEVICES[1] });
  const shortlist: Scorer['shortlist'] = (_, first, count, k) =>
    tops.find(queries.subarray(first * d, (first + count) * d), k);
  /** Where seen items compete, and where they do not. */
  const bothRankings = async (scorer: Scorer, lists: boolean) => {
    const rankings = [];
    for (const filterSeen of [false, true]) {
      rankings.push(
        await rankAll({ pool, itemCount: items }, rows, scorer, { ...options, filterSeen, lists }),
      );
    }
    return rankings;
  };
  return {
    table,
    queries,
    pool,
    rows,
    /** Rows whose scores the last call of `places` asked for. */
    scored,
    scores: (lists = false) => bothRankings({ score }, lists),
    async places(lists = false) {
      scored.length = 0;
      finder.follow({ dtype: 'float32', shape: [items, d], data: table });
      try {
        tops.follow({ dtype: 'float32', shape: [items, d], data: table });
        return await bothRankings({ score, rank, shortlist }, lists);
      } finally {
        await finder.close();
        await tops.close();
      }
    },
  };
}

const whole = (most: number) => (random: Random) => random.below(2 * most + 1) - most;

for (const [name, given] of Object.entries<Case>({
  'few items': { items: 13, d: 4, rows: 50, draw: whole(3) },
  'one item': { items: 1, d: 4, rows: 3, draw: whole(3) },
  'many ties': { items: 300, d: 3, rows: 40, draw: whole(1) },
  'several blocks, the last one smaller': { items: 4500, d: 8, rows: 40, draw: whole(300), duplicates: 0.02 },
  'nothing but ties': { items: 2100, d: 2, rows: 20, draw: () => 1 },
  'nothing but zeros': { items: 2100, d: 2, rows: 20, draw: () => 0 },
  'as wide as the product sums in one piece': { items: 600, d: 127, rows: 33, draw: whole(99) },
  'just wider': { items: 600, d: 128, rows: 33, draw: whole(99), duplicates: 0.2 },
  'three pieces': { items: 2500, d: 300, rows: 20, draw: whole(99), duplicates: 0.2 },
  'wider than the catalogue is long': { items: 40, d: 200, rows: 20, draw: whole(4), duplicates: 0.2 },
})) {
  test(`places found in the graph are those of the scores, whole numbers: ${name}`, async () => {
    const made = make(given);
    const expected = await made.scores();
    assert.equal(await made.places(), expected);
  });
}

test('few rows need their scores, where vectors are of real numbers', async () => {
  for (const d of [32, 100, 150, 300]) {
    const made = make({ items: 5000, d, rows: 64, draw: (random) => random.uniform() - 0.5 });
    const [kept, filtered] = await made.places();
    assert.is(made.scored.length, 0, `${d}: ${made.scored}`);
    assert.ok(kept.ranks.every((rank, i) => rank >= filtered.ranks[i] && filtered.ranks[i] >= 0));
    assert.ok(kept.ranks.some((rank, i) => rank > filtered.ranks[i]));
  }
});

test('copies of a vector tie, whatever rounding does, and the lower id comes first', async () => {
  for (const d of [64, 300]) {
    const made = make({ items: 4200, d, rows: 16, draw: (random) => random.uniform() - 0.5 });
    const { table, queries, rows } = made;
    const at = (item: number) => table.subarray(item * d, (item + 1) * d);
    // Every target's vector is its row's query, the best there is, and lies in another block once more.
    rows.target.forEach((_, i) => {
      rows.target[i] = 100 + i;
      at(100 + i).set(queries.subarray(i * d, (i + 1) * d));
      at(i % 2 ? 4000 + i : i).set(at(100 + i));
    });
    // Even rows have the copy in the target's own block: only their scores can tell.
    const [{ ranks }] = await made.places();
    const tied = Array.from({ length: 8 }, (_, i) => 2 * i);
    assert.equal(made.scored, [...tied, ...tied]);
    assert.equal(
      [...ranks],
      Array.from({ length: 16 }, (_, i) => (i % 2 ? 0 : 1)),
    );
    // The last block before, and the first after.
    const mirrored = make({ items: 4200, d, rows: 16, draw: (random) => random.uniform() - 0.5 });
    mirrored.rows.target.forEach((_, i) => {
      mirrored.rows.target[i] = 4000 + i;
      const query = mirrored.queries.subarray(i * d, (i + 1) * d);
      mirrored.table.set(query, (4000 + i) * d);
      mirrored.table.set(query, i * d);
    });
    assert.equal([...(await mirrored.places())[0].ranks], new Array(16).fill(1));
    assert.is(mirrored.scored.length, 0);
  }
});

test('a block may hold nothing but copies of the target', async () => {
  const made = make({ items: 4096, d: 5, rows: 4, draw: whole(400) });
  const target = made.table.slice(5 * 3000, 5 * 3001);
  for (let item = 0; item < 2048; item++) made.table.set(target, 5 * item);
  made.rows.target.fill(3000);
  const expected = await made.scores();
  assert.equal(await made.places(), expected);
  assert.is(made.scored.length, 0);
  made.rows.target.fill(0);
  const first = await made.scores();
  assert.equal(await made.places(), first);
});

test('what is not finite, too large, or too small goes through the scores', async () => {
  const draw = (random: Random) => random.uniform() - 0.5;
  const inf = Number.POSITIVE_INFINITY;
  for (const scale of [1e-30, 1e20]) {
    const made = make({ items: 200, d: 4, rows: 20, draw: (random) => scale * whole(3)(random) });
    const expected = await made.scores();
    assert.equal(await made.places(), expected);
    assert.is(made.scored.length, 40);
  }
  for (const [item, query] of [
    [Number.NaN, 1],
    [1, Number.NaN],
    [inf, 0],
  ]) {
    const made = make({ items: 200, d: 4, rows: 20, draw });
    made.table[7] = item;
    made.queries[3] = query;
    try {
      await made.places();
      assert.unreachable();
    } catch (error) {
      assert.instance(error, UserError);
      assert.match((error as Error).message, /NaN.*diverged/);
    }
  }
  const infinite = make({ items: 200, d: 4, rows: 20, draw: (random) => 0.1 + random.uniform() });
  infinite.table[7] = inf;
  infinite.table[11] = -inf;
  const expected = await infinite.scores();
  assert.equal(await infinite.places(), expected);
});

test('lists come from short lists, or from the scores of rows that have no place', async () => {
  for (const duplicates of [0, 0.1]) {
    const made = make({ items: 4501, d: 6, rows: 100, draw: whole(300), duplicates });
    // One item is high in many lists, and every row with a history has seen it.
    made.table.fill(300, 5 * 6, 6 * 6);
    for (let p = 0; p < made.pool.length; p += 40) made.pool[p] = 5;
    const [kept, filtered] = await made.scores(true);
    const [keptPlaces, filteredPlaces] = await made.places(true);
    assert.ok(kept.listMetrics?.['coverage@10']);
    assert.not.equal(kept.listMetrics, filtered.listMetrics);
    assert.equal(keptPlaces, kept);
    assert.equal(filteredPlaces, filtered);
    assert.ok(made.scored.length < 100);
  }
});

for (const variant of variants()) {
  test(`${variant.name}: a model's places are those of its scores`, async () => {
    const built = build(variant, { maxHistory: 12 });
    stir(built);
    const dataset = randomDataset([4, 30, 2, 9, 14]);
    const scorer = new ModelScorer(built.model, dataset, textFor(variant), 12, {
      ...built,
      device: DEVICES[1],
    });
    await scorer.refresh();
    const scores: Scorer = { score: (...tile) => scorer.score(...tile) };
    const expected = await rankAll(dataset, dataset.test, scores, options);
    assert.equal(await rankAll(dataset, dataset.test, scorer, options), expected);
    const lists = { ...options, lists: true, filterSeen: true, topk: [3] };
    assert.equal(
      await rankAll(dataset, dataset.test, scorer, lists),
      await rankAll(dataset, dataset.test, scores, lists),
    );
    assert.ok(expected.ranks.some((rank) => rank > 0 && rank < ITEMS - 1));
    await scorer.close();
    built.parameters.dispose();
  });
}

test.run();
