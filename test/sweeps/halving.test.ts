import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fieldsOf, ranked, rungsOf } from '../../sweeps/halving.ts';
import type { Trial } from '../../sweeps/plan.ts';

const trial = (candidate: string, seed = 1, dataset = 'd', epochs = 100): Trial => ({
  id: `${dataset}-${candidate}-${seed}`,
  run: '',
  settings: {},
  command: ['run'],
  set: [],
  after: [],
  dataset,
  metric: 'ndcg@10',
  epochs,
  candidate: `${dataset}-${candidate}`,
  inputs: '',
});
const field = (count: number, epochs = 100) =>
  fieldsOf(Array.from({ length: count }, (_, i) => trial(`c${i}`, 1, 'd', epochs)))[0];

test('the textbook ladder: 27 candidates, one in three goes on for three times the epochs', () => {
  assert.equal(rungsOf(field(27), { epochs: 1, factor: 3 }), [1, 3, 9]);
  assert.equal(rungsOf(field(8), { epochs: 2, factor: 2 }), [2, 4, 8]);
});

test('the ladder ends where one is left, or where a rung would be a whole training', () => {
  assert.equal(rungsOf(field(1), { epochs: 1, factor: 3 }), []);
  assert.equal(rungsOf(field(5), { epochs: 1, factor: 3 }), [1]);
  assert.equal(rungsOf(field(27, 9), { epochs: 1, factor: 3 }), [1, 3]);
  assert.equal(rungsOf(field(27), { epochs: 0, factor: 3 }), [], 'no halving asked for');
});

test('rivals are the candidates of one dataset; seeds of a candidate stay together', () => {
  const trials = ['x', 'y'].flatMap((dataset) =>
    ['a', 'b'].flatMap((candidate) => [1, 2].map((seed) => trial(candidate, seed, dataset))),
  );
  const ids = fieldsOf(trials).map((rivals) =>
    rivals.map((candidate) => candidate.trials.map(({ id }) => id)),
  );
  assert.equal(ids, [
    [
      ['x-a-1', 'x-a-2'],
      ['x-b-1', 'x-b-2'],
    ],
    [
      ['y-a-1', 'y-a-2'],
      ['y-b-1', 'y-b-2'],
    ],
  ]);
});

test('candidates are ranked by the mean over seeds; a failed seed is left out, a failed candidate is last', () => {
  const trials = ['a', 'b', 'c', 'd', 'e'].flatMap((candidate) =>
    [1, 2].map((seed) => trial(candidate, seed)),
  );
  const scores: Record<string, number | undefined> = {
    'd-a-1': 0.5,
    'd-a-2': 0.1,
    'd-b-1': 0.4,
    'd-b-2': 0.4,
    'd-d-1': 0.35,
    'd-e-1': 0.4,
    'd-e-2': 0.4,
  };
  const order = ranked(fieldsOf(trials)[0], ({ id }) => scores[id]);
  assert.equal(
    order.map((candidate) => candidate.trials[0].id),
    ['d-b-1', 'd-e-1', 'd-d-1', 'd-a-1', 'd-c-1'],
  );
});

test.run();
