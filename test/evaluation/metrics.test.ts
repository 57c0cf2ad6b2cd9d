import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import {
  byPopularity,
  judgedMetrics,
  meanMetrics,
  metricOfRows,
  rankMetrics,
} from '../../evaluation/metrics.ts';
import { evalSettings } from '../../evaluation/settings.ts';

const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-12, `${actual} is not ${expected}`);

test('one relevant item a row: by hand', () => {
  // Ranks 0, 2, 9, 10 of four rows.
  const m = rankMetrics(Int32Array.of(0, 2, 9, 10), [1, 3, 10]);
  near(m['recall@1'], 1 / 4);
  near(m['recall@3'], 2 / 4);
  near(m['recall@10'], 3 / 4);
  near(m['hit@10'], 3 / 4);
  near(m['ndcg@1'], 1 / 4);
  near(m['ndcg@3'], (1 + 1 / 2) / 4);
  near(m['ndcg@10'], (1 + 1 / 2 + Math.LN2 / Math.log(11)) / 4);
  near(m['mrr@3'], (1 + 1 / 3) / 4);
  near(m['mrr@10'], (1 + 1 / 3 + 1 / 10) / 4);
  near(m['map@10'], (1 + 1 / 3 + 1 / 10) / 4);
  near(m['precision@3'], (1 / 3 + 1 / 3) / 4);
  near(m['precision@10'], 3 / 10 / 4);
  assert.equal(Object.keys(m).length, 18);
  assert.equal(rankMetrics(new Int32Array(0), [10]), {});
});

test('a metric row by row: its mean is the metric', () => {
  const ranks = Int32Array.from({ length: 100 }, (_, i) => (i * 7) % 60);
  for (const [name, value] of Object.entries(rankMetrics(ranks, [1, 10, 50]))) {
    const rows = metricOfRows(ranks, name);
    near(rows.reduce((a, b) => a + b, 0) / rows.length, value);
  }
  assert.equal([...metricOfRows(Int32Array.of(0, 2, 3), 'ndcg@3')], [1, 0.5, 0]);
  for (const name of ['auc@10', 'ndcg', 'ndcg@0', 'ndcg@x', 'ndcg@1.5'])
    assert.throws(() => metricOfRows(ranks, name), `unknown metric '${name}'`);
});

test('graded judgments: by hand', () => {
  // Retrieved grades 3, 0, 2, 0, 1; a further relevant item of grade 2 and a judged irrelevant one were not retrieved.
  const m = judgedMetrics([3, 0, 2, 0, 1], [0, 1, 2, 2, 3, -1], [1, 3, 10]);
  const log = Math.log2;
  near(m['recall@1'], 1 / 4);
  near(m['recall@3'], 2 / 4);
  near(m['recall@10'], 3 / 4);
  near(m['precision@3'], 2 / 3);
  near(m['precision@10'], 3 / 10);
  near(m['map@3'], (1 + 2 / 3) / 4);
  near(m.map, (1 + 2 / 3 + 3 / 5) / 4);
  near(m['ndcg@1'], 1);
  near(m['ndcg@3'], (3 + 2 / log(4)) / (3 + 2 / log(3) + 2 / log(4)));
  near(m.ndcg, (3 + 2 / log(4) + 1 / log(6)) / (3 + 2 / log(3) + 2 / log(4) + 1 / log(5)));
  near(m['ndcg@10'], m.ndcg);
  near(m.mrr, 1);
  near(judgedMetrics([0, 0, 1], [1], [2, 3])['mrr@3'], 1 / 3);
  assert.is(judgedMetrics([0, 0, 1], [1], [2, 3])['mrr@2'], 0);
  assert.is(judgedMetrics([0, 0, 1], [1], [2, 3])['hit@2'], 0);
  assert.is(judgedMetrics([0, 0, 1], [1], [2, 3])['hit@3'], 1);
});

test('a query without relevant items scores 0, not NaN', () => {
  for (const value of Object.values(judgedMetrics([0, 0], [0], [1, 5]))) assert.is(value, 0);
  for (const value of Object.values(judgedMetrics([], [2], [1, 5]))) assert.is(value, 0);
});

test('both forms agree where there is one relevant item', () => {
  const topk = [1, 2, 5, 10, 50];
  const random = seeded('metrics');
  const ranks = Int32Array.from({ length: 200 }, () => random.below(80));
  const oneByOne = [...ranks].map((rank) =>
    judgedMetrics(
      Array.from({ length: 80 }, (_, i) => Number(i === rank)),
      [1],
      topk,
    ),
  );
  const mean = meanMetrics(oneByOne);
  for (const [key, value] of Object.entries(rankMetrics(ranks, topk))) near(value, mean[key]);
});

test('in [0, 1]; recall, ndcg, mrr and map grow with k; the order of rows changes nothing', () => {
  const random = seeded('properties');
  const topk = Array.from({ length: 40 }, (_, i) => i + 1);
  for (let round = 0; round < 20; round++) {
    const ranks = Int32Array.from({ length: 1 + random.below(60) }, () => random.below(60));
    const metrics = rankMetrics(ranks, topk);
    for (const value of Object.values(metrics)) assert.ok(value >= 0 && value <= 1);
    for (const name of ['recall', 'ndcg', 'mrr', 'hit', 'map'])
      for (let k = 2; k <= 40; k++) assert.ok(metrics[`${name}@${k}`] >= metrics[`${name}@${k - 1}`]);
    assert.equal(rankMetrics(random.shuffle(ranks.slice()), topk), metrics);

    const judged = Array.from({ length: 30 }, () => random.below(4));
    const graded = judgedMetrics(random.shuffle(judged.slice()), judged, topk);
    for (const value of Object.values(graded)) assert.ok(value >= 0 && value <= 1);
    near(
      judgedMetrics(
        judged.slice().sort((a, b) => b - a),
        judged,
        topk,
      )['ndcg@7'],
      1,
    );
  }
});

test('buckets of target popularity', () => {
  const trainCounts = [0, 1, 5, 6, 20, 21, 900];
  const ranks = Int32Array.of(0, 1, 20, 3, 0, 5, 0);
  const buckets = byPopularity(ranks, Int32Array.of(0, 1, 2, 3, 4, 5, 6), trainCounts, [10]);
  assert.equal(Object.keys(buckets), ['unseen', '1-5', '6-20', '21+']);
  assert.equal(
    Object.values(buckets).map(({ rows }) => rows),
    [1, 2, 2, 2],
  );
  assert.is(buckets['1-5'].metrics['recall@10'], 0.5);
  near(buckets['21+'].metrics['mrr@10'], (1 / 6 + 1) / 2);
  assert.equal(byPopularity(ranks, Int32Array.of(6, 6, 6, 6, 6, 6, 6), trainCounts, [10]).unseen, {
    rows: 0,
    metrics: {},
  });
});

test('settings: defaults of the paper, unknown keys and empty lists refused', () => {
  assert.equal(evalSettings.parse({}), { topk: [10, 50], filterSeen: false, batchSize: 256 });
  for (const bad of [{ topK: [10] }, { topk: [] }, { topk: [0] }, { topk: [2.5] }, { batchSize: 0 }])
    assert.not.ok(evalSettings.safeParse(bad).success);
  for (const field of Object.values(evalSettings.shape)) assert.ok(field.description);
});

test.run();
