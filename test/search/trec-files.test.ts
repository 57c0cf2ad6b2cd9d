import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { evaluateTrecRun, parseJudgments, parseRun } from '../../evaluation/trec.ts';
import { evaluate } from '../../search/evaluate.ts';
import type { Query, SearchTask } from '../../search/task.ts';
import { falling, type RankedQuery, writeQrels, writeRun } from '../../search/trec-files.ts';
import { testFolder } from './task-files.ts';

const test = suite<{ folder: string }>('TREC files');
test.before((context) => {
  context.folder = testFolder();
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

/** Lists with many equal scores, some negative; some relevant items are not in the pool, some not in the list. */
function randomTask(): { task: SearchTask; ranked: RankedQuery[] } {
  const random = seeded('trec files');
  const ids = Array.from({ length: 300 }, (_, i) => `B${(i * 7919) % 1000}`);
  const queries: Query[] = Array.from({ length: 60 }, (_, q) => ({
    id: `q${q}`,
    text: '',
    relevant: Array.from({ length: 1 + random.below(4) }, (_, i) => ({
      item: random.below(8) ? ids[(random.below(60) + 60 * i) % 300] : `gone${i}`,
      grade: 1 + random.below(3),
    })),
  }));
  const ranked = queries.map((query) => {
    const items = random.shuffle(Int32Array.from(ids.keys())).slice(0, random.below(120));
    const scores = Float64Array.from(items, () => random.below(12) / 8 - 0.5)
      .sort()
      .reverse();
    return { query, hits: { items, scores } };
  });
  const domain = Int32Array.from(ids, (_, i) => i % 3);
  const pool = { ids, texts: ids, domain, domains: ['a', 'b', 'c'] };
  return { task: { pool, queries, manifest: {} as SearchTask['manifest'] }, ranked };
}

test('trec_eval would give the same figures: order and ties survive the files', async ({ folder }) => {
  const { task, ranked } = randomTask();
  await writeRun(join(folder, 'run'), ranked, task.pool.ids, 'tag');
  await writeQrels(join(folder, 'qrels'), task.queries);
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  const run = parseRun(read('run'), 'run');
  for (const { query, hits } of ranked)
    assert.equal(
      run.get(query.id) ?? [],
      Array.from(hits.items, (item) => task.pool.ids[item]),
    );
  const { queries, mean } = evaluateTrecRun(run, parseJudgments(read('qrels'), 'qrels'), [10, 100]);
  // trec_eval leaves out queries that a run does not answer; here they count as 0.
  const answered = ranked.filter(({ hits }) => hits.items.length);
  const ours = evaluate(task, answered, [10, 100]);
  for (const [name, value] of Object.entries(mean))
    assert.ok(Math.abs(ours.overQueries[name] - value) < 1e-12, name);
  assert.is(queries.size, answered.length);
  const all = evaluate(task, ranked, [100]).overQueries['ndcg@100'];
  assert.ok(Math.abs(all * ranked.length - mean['ndcg@100'] * answered.length) < 1e-9);
});

test('All: the mean over domains is not that over queries', () => {
  const { task, ranked } = randomTask();
  const { domains, overDomains, overQueries } = evaluate(task, ranked, [100]);
  assert.equal(new Set(domains.map(({ domain }) => domain)), new Set(['a', 'b', 'c', '']));
  const value = (one: (typeof domains)[number]) => one.metrics['ndcg@100'];
  const count = domains.reduce((sum, { queries }) => sum + queries, 0);
  assert.is(count, 60);
  const weighted = domains.reduce((sum, one) => sum + value(one) * one.queries, 0) / 60;
  assert.ok(Math.abs(weighted - overQueries['ndcg@100']) < 1e-12);
  const plain = domains.reduce((sum, one) => sum + value(one), 0) / domains.length;
  assert.ok(Math.abs(plain - overDomains['ndcg@100']) < 1e-12);
});

test('scores fall in float32, by the smallest steps', () => {
  const scores = falling(Float64Array.of(3, 3, 3, 1e-45, 0, 0, -2, -2));
  for (let i = 1; i < scores.length; i++) assert.ok(scores[i] < scores[i - 1], `${scores}`);
  assert.ok(3 - scores[2] < 1e-6 && -2 - scores[7] < 1e-6);
});

test.run();
