import type { BaselineDefinition, CountedRecommender, TrainingRows } from '../../models/index.ts';
import type { Check } from './model-checks.ts';
import { randomRows } from './rows.ts';
import { LENGTHS } from './step-checks.ts';
import { ITEMS } from './variants.ts';
import { ensure, history } from './vectors.ts';

const histories = [[], [3], [3, 3], history(5), history(40), [ITEMS - 1], history(5)];
const same = (a: Float32Array, b: Float32Array) => a.every((x, i) => x === b[i]);
const allSame = (a: readonly Float32Array[], b: readonly Float32Array[]) =>
  a.every((row, i) => same(row, b[i]));

/** What every baseline must keep, with default settings. */
export function baselineChecks(definition: BaselineDefinition): Check[] {
  const scoresOf = (rows: TrainingRows, after: readonly number[][] = histories) =>
    scoresAfter(definition.fit(definition.config.parse({}), rows), after);
  return [
    {
      name: 'scores',
      rule: 'every item has a finite score, which the history alone decides',
      async run() {
        const rows = countingCase();
        const scores = scoresOf(rows);
        for (const row of scores)
          ensure(
            row.length === ITEMS && row.every(Number.isFinite),
            `there are ${row.length} scores for ${ITEMS} items, or one is not finite`,
          );
        ensure(same(scores[6], scores[3]), 'the same history has other scores when it is asked for again');
        ensure(
          allSame(scoresOf(rows, histories.toReversed()).reverse(), scores),
          'scores depend on which histories were asked for before: rescore() must leave nothing behind',
        );
      },
    },
    {
      name: 'training rows',
      rule: 'it counts training rows only, in any order',
      async run() {
        const rows = countingCase();
        const { fewer, hidden } = withoutLastRows(rows);
        const counted = scoresOf(fewer);
        ensure(
          allSame(scoresOf({ ...fewer, pool: hidden }), counted),
          'scores change with items that no training row names: those are what is validated and tested with',
        );
        ensure(!allSame(counted, scoresOf(rows)), 'a third of the training rows more changes no score');
      },
    },
    {
      name: 'no rows',
      rule: 'without training rows, all items are equal',
      async run() {
        const none = new Int32Array(0);
        const train = { user: none, start: none, end: none, target: none };
        for (const row of scoresOf({ itemCount: ITEMS, pool: none, train }))
          ensure(
            row.every((score) => score === row[0] && Number.isFinite(score)),
            'without training rows, items have different scores, or some that are not finite',
          );
      },
    },
  ];
}

/** All scores after each history, one after the other with one recommender. */
function scoresAfter({ base, rescore }: CountedRecommender, after: readonly number[][]): Float32Array[] {
  const scores = base.slice();
  return after.map((h) => {
    const changed = rescore?.(Int32Array.from(h), scores) ?? [];
    ensure(new Set(changed).size === changed.length, 'rescore() names an item twice');
    const rescored = scores.slice();
    for (const item of changed) scores[item] = base[item];
    ensure(same(scores, base), 'rescore() changed a score without naming its item');
    return rescored;
  });
}

/** Training rows that share their histories' beginnings; none names the last item. */
function countingCase(): TrainingRows {
  const { pool, rows } = randomRows(LENGTHS, 3, ITEMS - 1);
  return { itemCount: ITEMS, pool, train: rows };
}

/**
 * The rows without each sequence's last one, whose target then lies in the pool behind them, to be tested with; and the pool with
 * other items wherever no row looks.
 */
function withoutLastRows({ itemCount, pool, train }: TrainingRows): {
  fewer: TrainingRows;
  hidden: Int32Array;
} {
  const isLast = (row: number) => train.start[row + 1] !== train.start[row];
  const kept = [...train.target.keys()].filter((row) => !isLast(row)).reverse();
  const pick = (column: Int32Array) => Int32Array.from(kept, (row) => column[row]);
  const { user, start, end, target } = train;
  const fewer = { user: pick(user), start: pick(start), end: pick(end), target: pick(target) };
  const hidden = pool.slice();
  const named = new Set(
    kept.flatMap((row) => Array.from({ length: end[row] - start[row] }, (_, i) => start[row] + i)),
  );
  for (const place of pool.keys()) if (!named.has(place)) hidden[place] = (pool[place] + 1) % itemCount;
  return { fewer: { itemCount, pool, train: fewer }, hidden };
}
