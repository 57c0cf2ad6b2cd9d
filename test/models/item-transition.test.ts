import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { models } from '../../models/index.ts';
import itemTransition from '../../models/item-transition.ts';
import { columns } from '../data/rows-support.ts';

/** Sequences 0 1 2 3 and 0 2 1; the last item of the second is held out. Rows: 0 > 1, 0 1 > 2, 0 1 2 > 3, 0 > 2. */
const rows = {
  itemCount: 6,
  pool: Int32Array.of(0, 1, 2, 3, 0, 2, 1),
  train: columns([
    { user: 0, start: 0, end: 1, target: 1 },
    { user: 0, start: 0, end: 2, target: 2 },
    { user: 0, start: 0, end: 3, target: 3 },
    { user: 1, start: 4, end: 5, target: 2 },
  ]),
};

/** The items that are voted for, with their votes but for the part that breaks ties. */
function votes(settings: Record<string, number>, history: number[], from = rows): Record<number, number> {
  const { base, rescore } = itemTransition.fit(itemTransition.config.parse(settings), from);
  const scores = base.slice();
  const items = rescore!(Int32Array.from(history), scores);
  return Object.fromEntries(items.map((item) => [item, Number(scores[item].toFixed(4))]));
}

const plain = { recent: 1, decay: 1, window: 10, distanceDecay: 0.5 };

test('transitions by hand: each pair of places once, weighed by the steps between', () => {
  // 0 > 1 by one step; 0 > 2 by two and by one; 0 > 3 by three.
  assert.equal(votes(plain, [0]), { 1: 1, 2: 1.5, 3: 0.25 });
  assert.equal(votes(plain, [1]), { 2: 1, 3: 0.5 });
  // 2 > 1 is held out, although it lies in the pool.
  assert.equal(votes(plain, [2]), { 3: 1 });
  assert.equal(votes(plain, [3]), {});
});

test('the window bounds the steps; without decay all count alike', () => {
  assert.equal(votes({ ...plain, window: 2 }, [0]), { 1: 1, 2: 1.5 });
  assert.equal(votes({ ...plain, window: 1 }, [0]), { 1: 1, 2: 1 });
  assert.equal(votes({ ...plain, distanceDecay: 1 }, [0]), { 1: 1, 2: 2, 3: 1 });
  assert.equal(votes({ ...plain, distanceDecay: 0 }, [0]), { 1: 1, 2: 1 });
});

test('the latest items vote, each less than the one after it', () => {
  assert.equal(votes({ ...plain, recent: 2, decay: 0.4 }, [2, 0, 1]), { 1: 0.4, 2: 1.6, 3: 0.6 });
  assert.equal(votes({ ...plain, recent: 9, decay: 0.4 }, [2, 0, 1]), { 1: 0.4, 2: 1.6, 3: 0.76 });
  assert.equal(votes({ ...plain, recent: 2, decay: 0 }, [0, 1]), { 2: 1, 3: 0.5 });
  assert.equal(votes({ ...plain, recent: 2, decay: 0.5 }, [1, 1]), { 2: 1.5, 3: 0.75 });
});

test('equal votes, and items without any, go by popularity', () => {
  const more = columns([
    { start: 0, end: 1, target: 1 },
    { start: 0, end: 1, target: 2 },
    // Makes 2 and 4 more popular, from an item that does not vote.
    { start: 3, end: 4, target: 2 },
    { start: 3, end: 4, target: 4 },
    { start: 3, end: 4, target: 4 },
    { start: 3, end: 4, target: 5 },
  ]);
  const { base, rescore } = itemTransition.fit(itemTransition.config.parse({}), { ...rows, train: more });
  const scores = base.slice();
  rescore!(Int32Array.of(0), scores);
  const order = [0, 1, 2, 3, 4, 5].sort((a, b) => scores[b] - scores[a]);
  assert.equal(order, [2, 1, 4, 5, 0, 3]);
});

test('baselines are listed as such', () => {
  assert.equal(
    models.baselines().map(({ name }) => name),
    ['popularity', 'item-transition'],
  );
  assert.equal(models.names().length, models.trained().length + models.baselines().length);
});

test.run();
