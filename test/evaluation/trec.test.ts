import { existsSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Metrics } from '../../evaluation/metrics.ts';
import { evaluateTrecRun, parseJudgments, parseRun } from '../../evaluation/trec.ts';
import { skipped } from '../skip.ts';

const folder = '../shared/data/trec_eval';
const cuts = [1, 5, 10, 15, 20, 30, 100, 200, 500, 1000];

/** Our key of one of trec_eval's measures, where we have it. */
function ourKey(measure: string): string | undefined {
  const whole: Record<string, string> = { map: 'map', recip_rank: 'mrr', ndcg: 'ndcg' };
  const cut: Record<string, string> = {
    P: 'precision',
    recall: 'recall',
    ndcg_cut: 'ndcg',
    map_cut: 'map',
    success: 'hit',
  };
  const [, name, k] = /^(P|recall|ndcg_cut|map_cut|success)_(\d+)$/.exec(measure) ?? [];
  return name ? `${cut[name]}@${k}` : whole[measure];
}

for (const [output, judgmentFile] of [
  ['out.test', 'qrels.test'],
  ['out.test.a', 'qrels.test'],
  ['out.test.aq', 'qrels.test'],
] as const) {
  test(`trec_eval's ${output}, to the printed precision`, () => {
    if (!existsSync(`${folder}/${output}`)) return skipped(`${folder}/${output} is not here`);
    const read = (name: string) => readFileSync(`${folder}/${name}`, 'utf8');
    const { queries, mean, missing } = evaluateTrecRun(
      parseRun(read('results.test'), 'results.test'),
      parseJudgments(read(judgmentFile), judgmentFile),
      cuts,
    );
    assert.equal(missing, { judgments: [], run: [] });
    const compared: Record<string, number> = {};
    for (const line of read(output).trim().split('\n')) {
      const [measure, query, expected] = line.split(/\s+/);
      const key = ourKey(measure);
      if (!key) continue;
      const metrics: Metrics | undefined = query === 'all' ? mean : queries.get(query);
      assert.is(metrics?.[key].toFixed(4), expected, `${measure} of ${query}`);
      compared[query] = (compared[query] ?? 0) + 1;
    }
    const wanted: Record<string, number> = { 'out.test': 11, 'out.test.a': 42, 'out.test.aq': 42 };
    assert.is(compared.all, wanted[output]);
    if (output === 'out.test.aq') assert.equal(compared, { 301: 42, 302: 42, 303: 42, all: 42 });
  });
}

test('order of a run: score, highest first, in float32; then document, last first; the rank column is ignored', () => {
  const run = parseRun(
    [
      '# a comment',
      '1 Q0 b 1 0.5 tag',
      '1 Q0 a 2 0.5 tag',
      '',
      '1 Q0 c 3 2e0 tag more',
      '1 Q0 A 4 0.50000000001 t',
    ].join('\n'),
    'run',
  );
  assert.equal(run.get('1'), ['c', 'b', 'a', 'A']);
});

test('queries of one side only are named, not averaged', () => {
  const judgments = parseJudgments('1 0 a 1\n2 0 a 1\n', 'qrels');
  const { mean, missing, queries } = evaluateTrecRun(
    parseRun('1 Q0 a 1 1 t\n3 Q0 a 1 1 t', 'run'),
    judgments,
    [1],
  );
  assert.equal(missing, { judgments: ['3'], run: ['2'] });
  assert.is(queries.size, 1);
  assert.is(mean.map, 1);
});

test('a bad line is named', () => {
  assert.throws(() => parseJudgments('1 0 a 1\n1 0 b', 'q.txt'), /q\.txt:2: expected .* found 3 columns/);
  assert.throws(() => parseJudgments('1 0 a high', 'q.txt'), /q\.txt:1: the grade 'high'/);
  assert.throws(() => parseJudgments('1 0 a 1\n1 0 a 0', 'q.txt'), /q\.txt:2: document 'a' occurs twice/);
  assert.throws(() => parseRun('1 Q0 a 1 x t', 'r.txt'), /r\.txt:1: the score 'x'/);
  assert.throws(() => parseRun('1 Q0 a 1 1', 'r.txt'), /r\.txt:1: expected .* found 5 columns/);
  assert.throws(() => parseRun('1 Q0 a 1 1 t\n1 Q0 a 2 0 t', 'r.txt'), /r\.txt:2: document 'a' occurs twice/);
});

test.run();
