import { existsSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Cancelled, UserError } from '../../common/errors.ts';
import { Progress } from '../../common/progress.ts';
import { type Random, seeded } from '../../common/random.ts';
import type { Rows } from '../../data/dataset.ts';
import { rankAll, type Scorer } from '../../evaluation/ranking.ts';
import { rankSparse } from '../../evaluation/sparse.ts';
import type { RankingOptions } from '../../evaluation/tally.ts';
import popularity from '../../models/popularity.ts';
import { skipped } from '../skip.ts';

const options: RankingOptions = {
  topk: [1, 3, 10],
  filterSeen: false,
  batchSize: 4,
  lists: true,
  progress: new Progress(),
};

/** Gives row r the scores table[r]. */
function tableScorer(table: readonly (readonly number[])[]): Scorer {
  return {
    score: async (_rows, first, count) => Float32Array.from(table.slice(first, first + count).flat()),
  };
}

/** Rows from a history and a target each. */
function makeRows(cases: readonly { history?: readonly number[]; target: number }[]): {
  pool: Int32Array;
  rows: Rows;
} {
  const pool: number[] = [];
  const rows: Rows = {
    user: Int32Array.from(cases, (_, i) => i),
    start: new Int32Array(cases.length),
    end: new Int32Array(cases.length),
    target: Int32Array.from(cases, ({ target }) => target),
  };
  cases.forEach(({ history = [] }, i) => {
    rows.start[i] = pool.length;
    pool.push(...history);
    rows.end[i] = pool.length;
  });
  return { pool: Int32Array.from(pool), rows };
}

/** The same by sorting: the full order of items, higher score first, then lower id. */
function naive(scores: readonly number[], excluded: ReadonlySet<number>): number[] {
  return scores
    .map((_, item) => item)
    .filter((item) => !excluded.has(item))
    .sort((a, b) =>
      Object.is(scores[a], scores[b]) || scores[a] === scores[b] ? a - b : scores[a] > scores[b] ? -1 : 1,
    );
}

test('ties: an item with an equal score wins where its id is lower', async () => {
  const { pool, rows } = makeRows([{ target: 0 }, { target: 2 }, { target: 4 }, { target: 3 }]);
  const table = [
    [1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1],
    [0, 5, -1, 0, 0],
  ];
  const { ranks } = await rankAll({ pool, itemCount: 5 }, rows, tableScorer(table), options);
  assert.equal([...ranks], [0, 2, 4, 2]);
});

test('-0 equals 0, infinities are ordered, both infinities in a row are exact', async () => {
  const inf = Number.POSITIVE_INFINITY;
  const cases = [
    { scores: [0, -0, 0, -0, 0, 1], target: 3, rank: 4 },
    { scores: [-0, -1, 0, -0, 2, 1], target: 2, rank: 3 },
    { scores: [inf, 1, inf, 3, inf, 2], target: 2, rank: 1 },
    { scores: [inf, 1, -inf, 3, inf, 2], target: 3, rank: 2 },
    { scores: [-inf, -inf, -inf, 3, inf, -inf], target: 2, rank: 4 },
    { scores: [-inf, inf, -inf, inf, -inf, inf], target: 4, rank: 5 },
  ];
  const { pool, rows } = makeRows(cases);
  const scorer = tableScorer(cases.map(({ scores }) => scores));
  const { ranks } = await rankAll({ pool, itemCount: 6 }, rows, scorer, options);
  assert.equal(
    [...ranks],
    cases.map(({ rank }) => rank),
  );
});

test('filterSeen takes the history out, each item once, but never the target', async () => {
  const { pool, rows } = makeRows([
    { history: [5, 5, 4, 0], target: 2 },
    { history: [5, 2, 2], target: 2 },
    { history: [], target: 2 },
  ]);
  const scores = [1, 2, 3, 3, 4, 5];
  const run = (filterSeen: boolean) =>
    rankAll({ pool, itemCount: 6 }, rows, tableScorer([scores, scores, scores]), { ...options, filterSeen });
  const kept = await run(false);
  const filtered = await run(true);
  assert.equal([...kept.ranks], [2, 2, 2]);
  assert.equal([...filtered.ranks], [0, 1, 2]);
  assert.equal(kept.seen, filtered.seen);
  assert.equal(kept.metrics, kept.seen.kept);
  assert.equal(filtered.metrics, kept.seen.filtered);
  assert.is(filtered.metrics['recall@1'], 1 / 3);
});

test('coverage and popularity: by hand', async () => {
  const { pool, rows } = makeRows([
    { history: [0], target: 1 },
    { history: [1], target: 1 },
  ]);
  const table = [
    [4, 3, 2, 1],
    [4, 1, 2, 3],
  ];
  const itemCounts = Int32Array.of(10, 4, 2, 0);
  const topk = [1, 3];
  const run = (filterSeen: boolean) =>
    rankAll({ pool, itemCount: 4 }, rows, tableScorer(table), { ...options, filterSeen, topk, itemCounts });
  // Lists 0 1 2 and 0 3 2.
  assert.equal((await run(false)).listMetrics, {
    'coverage@1': 1 / 4,
    'popularity@1': 10,
    'coverage@3': 1,
    'popularity@3': (10 + 4 + 2 + 10 + 0 + 2) / 6,
  });
  // Lists 1 2 3 (0 was seen) and 0 3 2 (1 is the target, and last anyway).
  const filtered = (await run(true)).listMetrics;
  assert.is(filtered?.['coverage@1'], 2 / 4);
  assert.is(filtered?.['popularity@1'], 7);
  assert.is(filtered?.['popularity@3'], (4 + 2 + 0 + 10 + 0 + 2) / 6);
  const without = await rankAll({ pool, itemCount: 4 }, rows, tableScorer(table), {
    ...options,
    lists: false,
  });
  assert.is(without.listMetrics, undefined);
});

const levels: Record<string, (random: Random) => number> = {
  'no ties': (random) => random.normal(),
  'many ties': (random) => random.below(5) - 2,
  'all equal': () => 0.5,
  'with infinities': (random) =>
    [Number.NEGATIVE_INFINITY, -1, -0, 0, 1, Number.POSITIVE_INFINITY][random.below(6)],
};

for (const [name, draw] of Object.entries(levels)) {
  test(`equals sorting: ${name}`, async () => {
    const random = seeded('ranking', name);
    for (const itemCount of [1, 2, 3, 4, 5, 7, 8, 63, 200]) {
      const cases = Array.from({ length: 23 }, () => ({
        history: Array.from({ length: random.below(8) }, () => random.below(itemCount)),
        target: random.below(itemCount),
      }));
      const table = cases.map(() => Array.from({ length: itemCount }, () => Math.fround(draw(random))));
      const itemCounts = Int32Array.from({ length: itemCount }, () => random.below(30));
      const { pool, rows } = makeRows(cases);
      for (const filterSeen of [false, true]) {
        const orders = cases.map(({ history, target }, i) =>
          naive(table[i], new Set(filterSeen ? history.filter((item) => item !== target) : [])),
        );
        const result = await rankAll({ pool, itemCount }, rows, tableScorer(table), {
          ...options,
          filterSeen,
          itemCounts,
        });
        assert.equal(
          [...result.ranks],
          cases.map(({ target }, i) => orders[i].indexOf(target)),
        );
        for (const k of options.topk) {
          const listed = orders.flatMap((order) => order.slice(0, k));
          const popularity = listed.reduce((sum, item) => sum + itemCounts[item], 0) / listed.length;
          assert.is(result.listMetrics?.[`coverage@${k}`], new Set(listed).size / itemCount);
          assert.ok(Math.abs((result.listMetrics?.[`popularity@${k}`] ?? Number.NaN) - popularity) < 1e-9);
        }
      }
    }
  });
}

test('neither the order of rows nor the tile size changes a figure', async () => {
  const random = seeded('order');
  const itemCount = 50;
  const cases = Array.from({ length: 40 }, () => ({
    target: random.below(itemCount),
    history: [random.below(itemCount)],
  }));
  const table = cases.map(() => Array.from({ length: itemCount }, () => random.below(20)));
  const order = random.shuffle(cases.map((_, i) => i));
  const run = (ids: number[], batchSize: number) => {
    const { pool, rows } = makeRows(ids.map((i) => cases[i]));
    return rankAll({ pool, itemCount }, rows, tableScorer(ids.map((i) => table[i])), {
      ...options,
      batchSize,
    });
  };
  const straight = await run(
    cases.map((_, i) => i),
    7,
  );
  const shuffled = await run(order, 1000);
  assert.equal(shuffled.metrics, straight.metrics);
  assert.equal(shuffled.listMetrics, straight.listMetrics);
  assert.equal(
    [...shuffled.ranks],
    order.map((i) => straight.ranks[i]),
  );
});

test('a NaN anywhere in a row stops with an error to act on', async () => {
  const inf = Number.POSITIVE_INFINITY;
  for (const scores of [
    [1, 2, Number.NaN, 4, 5, 6, 7, 8, 9],
    [Number.NaN, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 5, 6, 7, 8, Number.NaN],
    [1, inf, 3, 4, 5, 6, -inf, 8, Number.NaN],
  ]) {
    const { pool, rows } = makeRows([{ target: 2 }]);
    try {
      await rankAll({ pool, itemCount: 9 }, rows, tableScorer([scores]), options);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, UserError);
      assert.match((error as Error).message, /NaN.*diverged/);
    }
  }
});

for (const [name, draw] of Object.entries(levels)) {
  test(`scores that few rows change are ranked as by a full scan: ${name}`, async () => {
    const random = seeded('sparse', name);
    for (const itemCount of [1, 2, 5, 64]) {
      const cases = Array.from({ length: 40 }, () => ({
        history: Array.from({ length: random.below(8) }, () => random.below(itemCount)),
        target: random.below(itemCount),
      }));
      const { pool, rows } = makeRows(cases);
      const base = Float32Array.from({ length: itemCount }, () => draw(random));
      const changes = cases.map(
        () => new Map(Array.from({ length: random.below(6) }, () => [random.below(itemCount), draw(random)])),
      );
      const table = changes.map((change) => Array.from(base, (score, item) => change.get(item) ?? score));
      let row = 0;
      const rescore = (_history: Int32Array, scores: Float32Array): number[] => {
        assert.equal(scores, base);
        const change = changes[row++ % cases.length];
        for (const [item, score] of change) scores[item] = score;
        return [...change.keys()];
      };
      const itemCounts = Int32Array.from({ length: itemCount }, () => random.below(30));
      for (const filterSeen of [false, true]) {
        const given = { ...options, filterSeen, itemCounts };
        const sparse = rankSparse({ pool, itemCount }, rows, { base, rescore }, given);
        assert.equal(sparse, await rankAll({ pool, itemCount }, rows, tableScorer(table), given));
        const plain = rankSparse({ pool, itemCount }, rows, { base }, given);
        const same = tableScorer(cases.map(() => Array.from(base)));
        assert.equal(plain, await rankAll({ pool, itemCount }, rows, same, given));
      }
    }
  });
}

test('a baseline that gives NaN is stopped', () => {
  const { pool, rows } = makeRows([{ target: 0 }]);
  const wrong = (scores: number[], rescored?: number) => () =>
    rankSparse(
      { pool, itemCount: 2 },
      rows,
      {
        base: Float32Array.from(scores),
        rescore(_history, into) {
          if (rescored === undefined) return [];
          into[1] = rescored;
          return [1];
        },
      },
      options,
    );
  assert.throws(wrong([1, Number.NaN]), /NaN/);
  assert.throws(wrong([1, 2], Number.NaN), /NaN/);
});

test('no rows, scores of the wrong shape, and Ctrl-C are reported', async () => {
  const failure = async (rows: Rows, pool: Int32Array, progress = new Progress()) => {
    try {
      await rankAll({ pool, itemCount: 3 }, rows, tableScorer([[1, 2]]), { ...options, progress });
    } catch (error) {
      return error as Error;
    }
  };
  const empty = makeRows([]);
  assert.match((await failure(empty.rows, empty.pool))?.message ?? '', /no rows/);
  const one = makeRows([{ target: 0 }]);
  assert.match((await failure(one.rows, one.pool))?.message ?? '', /2 scores for 1 rows of 3 items/);
  const stopped = new Progress(
    () => {},
    () => true,
  );
  assert.instance(await failure(one.rows, one.pool, stopped), Cancelled);
});

const ml100k = '../shared/data/ml100k-r5h5/ml100k-r5h5';

test('popularity on ml100k-r5h5 gives the peer table', () => {
  if (!existsSync(`${ml100k}.test.inter`)) return skipped(`${ml100k}.*.inter is not here`);
  // Item ids are those of the data_maps file, by first appearance; 0 is [PAD] there.
  const { item2id } = JSON.parse(readFileSync(`${ml100k}.data_maps`, 'utf8')) as {
    item2id: Record<string, number>;
  };
  const itemCount = Object.keys(item2id).length - 1;
  const read = (split: string) => {
    const lines = readFileSync(`${ml100k}.${split}.inter`, 'utf8').trim().split('\n').slice(1);
    return makeRows(
      lines.map((line) => {
        const [, history, target] = line.split('\t');
        return { history: history.split(' ').map((id) => item2id[id] - 1), target: item2id[target] - 1 };
      }),
    );
  };
  // Popularity here counts training rows' targets only; the items that only begin a history do not add.
  const { pool, rows: train } = read('train');
  const counted = popularity.fit({}, { itemCount, pool, train });
  const run = (split: string) => {
    const { pool, rows } = read(split);
    const { metrics } = rankSparse({ pool, itemCount }, rows, counted, { ...options, topk: [10, 50] });
    return { rows: rows.target.length, metrics };
  };
  const tested = run('test');
  const valid = run('valid');
  assert.is(tested.rows, 2055);
  assert.is(tested.metrics['ndcg@10'].toFixed(4), '0.0330');
  assert.is(tested.metrics['recall@10'].toFixed(4), '0.0652');
  assert.is(tested.metrics['recall@50'].toFixed(4), '0.2380');
  assert.is(valid.metrics['ndcg@10'].toFixed(4), '0.0444');
});

test.run();
