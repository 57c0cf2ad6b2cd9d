import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { left, makeReviews, type Review, type RulesAtWork, randomReviews, withRules } from './reviews.ts';

type Triple = [user: number, item: number, time: number];
const triples = (reviews: readonly Review[]): Triple[] => reviews.map(([u, i, t]) => [u, i, t]);
/** Times that count as milliseconds. */
const ms = (reviews: readonly Triple[]): Triple[] => reviews.map(([u, i, t]) => [u, i, 1e12 + t]);

/** What a rule leaves of some reviews. */
async function after(
  reviews: readonly Review[],
  apply: (at: RulesAtWork) => Promise<void>,
): Promise<Review[]> {
  let result: Review[] = [];
  await withRules(async (at) => {
    await makeReviews(at.database, reviews);
    await at.rules.number(0);
    await apply(at);
    result = await left(at.database);
  });
  return result;
}

test('dedupe keeps the earliest, and the first of equally early ones', async () => {
  const reviews = ms([
    [0, 7, 5],
    [0, 7, 3],
    [1, 7, 9],
    [0, 8, 3],
    [0, 7, 3],
    [1, 7, 9],
  ]);
  const kept = await after(reviews, ({ rules }) => rules.dedupe());
  assert.equal(triples(kept), [reviews[1], reviews[2], reviews[3]]);
});

test('dedupe equals a plain implementation', async () => {
  const reviews = ms(triples(randomReviews(1)));
  const expected = reviews.filter(([u, i, t], at) =>
    reviews.every(([v, j, s], other) => v !== u || j !== i || s > t || (s === t && other >= at)),
  );
  assert.equal(triples(await after(reviews, ({ rules }) => rules.dedupe())), expected);
});

test('k-core is repeated until stable', async () => {
  // Item 2 falls first, then user 2 has one interaction left and falls, then item 1 falls.
  const reviews = ms([
    [0, 0, 1],
    [0, 3, 2],
    [1, 0, 3],
    [1, 3, 4],
    [2, 1, 5],
    [2, 2, 6],
    [0, 1, 7],
  ]);
  assert.equal(triples(await after(reviews, ({ rules }) => rules.kCore(2))), reviews.slice(0, 4));
  assert.equal(triples(await after(reviews, ({ rules }) => rules.kCore(1))), reviews);
  await withRules(async ({ database, rules, steps }) => {
    await makeReviews(database, reviews);
    await rules.number(0);
    await rules.kCore(9);
    assert.is(rules.left, 0);
    assert.equal(steps.at(-1), {
      rule: '9-core',
      unit: 'interactions',
      in: 7,
      out: 0,
      note: 'at first 3 users and 4 items had fewer than 9',
    });
  });
});

test('k-core equals a plain implementation', async () => {
  for (const k of [2, 8, 14]) {
    const reviews = ms(triples(randomReviews(2)));
    let expected = reviews;
    for (;;) {
      const now = expected;
      expected = now.filter(
        ([u, i]) => now.filter(([v]) => v === u).length >= k && now.filter(([, j]) => j === i).length >= k,
      );
      if (expected.length === now.length) break;
    }
    assert.equal(triples(await after(reviews, ({ rules }) => rules.kCore(k))), expected);
  }
});

/** Items of every user in order. */
async function sequences({ database, rules }: RulesAtWork): Promise<unknown[][]> {
  await rules.sequence();
  return database.rows(`
    SELECT user_name, string_agg(item_name, ' ' ORDER BY position)
    FROM sequences JOIN users USING (user_id) JOIN items USING (item_id) GROUP BY user_id, user_name ORDER BY user_id`);
}

test('file order breaks ties of time', async () => {
  await withRules(async (at) => {
    const reviews: Triple[] = [
      [1, 9, 5],
      [0, 8, 5],
      [0, 3, 4],
      [1, 7, 5],
      [1, 6, 4],
    ];
    await makeReviews(at.database, reviews);
    await at.rules.number(0);
    assert.equal(await sequences(at), [
      ['u1', 'i6 i9 i7'],
      ['u0', 'i3 i8'],
    ]);
  });
});

test('random ties are seeded, and never change the order of times', async () => {
  const shuffled = async (seed: number): Promise<unknown[][]> => {
    let found: unknown[][] = [];
    await withRules(async (at) => {
      await makeReviews(at.database, randomReviews(3));
      await at.rules.number(0);
      await at.rules.shuffle(seed);
      const [wrong] = await at.database.numbers(`
        SELECT count(*) FROM (
          SELECT time, lag(time) OVER (PARTITION BY user_id ORDER BY time, seq) AS before FROM interactions)
        WHERE before > time`);
      assert.is(wrong, 0);
      found = await sequences(at);
    });
    return found;
  };
  assert.equal(await shuffled(1), await shuffled(1));
  assert.not.equal(await shuffled(1), await shuffled(2));
});

test('timestamp split: train < t1 <= valid < t2 <= test', async () => {
  const reviews = [9, 10, 11, 19, 20, 21].map((t, i): Triple => [i, i, 1e12 + t]);
  const split = await after(reviews, ({ rules }) => rules.splitByTimestamp([1e12 + 10, 1e12 + 20]));
  assert.equal(
    split.map((row) => row[3]),
    [0, 1, 1, 1, 2, 2],
  );
});

test('leave-last-out: users of 1, 2, 3 and 4 interactions', async () => {
  const reviews = [0, 1, 1, 2, 2, 2, 3, 3, 3, 3].map((user, i): Triple => [user, i, i]);
  const split = await after(reviews, ({ rules }) => rules.splitLeaveLastOut());
  assert.equal(
    split.map((row) => row[3]),
    [2, 1, 2, 0, 1, 2, 0, 0, 1, 2],
  );
});

test('seconds become milliseconds', async () => {
  const times = async (...list: number[]) =>
    (
      await after(
        list.map((t, i): Triple => [i, i, t]),
        async () => {},
      )
    ).map(([, , time]) => time);
  assert.equal(await times(5, 1405296000), [5000, 1405296000000]);
  assert.equal(await times(5, 1405296000000), [5, 1405296000000]);
  assert.equal(await times(0, 0), [0, 0]);
});

test('items without metadata are dropped', async () => {
  const reviews = ms([
    [0, 1, 1],
    [0, 2, 2],
    [1, 1, 3],
  ]);
  const kept = await after(reviews, async ({ database, rules }) => {
    await database.list('described', ['i1', 'i9']);
    await rules.dropUndescribed('');
  });
  assert.equal(triples(kept), [reviews[0], reviews[2]]);
});

test.run();
