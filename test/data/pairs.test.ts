import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { Progress } from '../../common/progress.ts';
import { buildPairs, forEachPair, type Pair, pairSettings } from '../../data/pairs/index.ts';
import { paperTimestamps } from '../../data/settings.ts';
import { realFolder } from './helpers.ts';

const test = suite<{ folder: string }>('pairs');
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-pairs-'));
});
test.after.each(({ folder }) => rmSync(folder, { recursive: true }));

const T1 = paperTimestamps[0];
const LONG = 'long enough to be taken as a text of its own';

const review = (user: string, item: string, time: number, text = `${user} on ${item}: ${LONG}`) => ({
  user_id: user,
  parent_asin: item,
  timestamp: time,
  title: 'fine',
  text,
});
const lines = (rows: object[]) => rows.map((row) => JSON.stringify(row)).join('\n');

function domain(folder: string, name: string, reviews: string, metadata?: string): string {
  const path = join(folder, name);
  mkdirSync(path);
  writeFileSync(join(path, 'reviews.jsonl'), reviews);
  if (metadata !== undefined) writeFileSync(join(path, 'meta.jsonl'), metadata);
  return path;
}

const build = (folders: string[], out: string, settings: object = {}) =>
  buildPairs(folders, out, pairSettings.parse({ valid: 0, test: 0, ...settings }), new Progress());

async function read(path: string): Promise<Pair[]> {
  const pairs: Pair[] = [];
  await forEachPair(path, new Progress(), (pair) => pairs.push(pair));
  return pairs;
}

const failure = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
  } catch (error) {
    assert.instance(error, UserError);
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
};

test('nothing at or after the split time enters, and every drop is counted by its rule', async ({
  folder,
}) => {
  const path = domain(
    folder,
    'Beauty',
    lines([
      review('u', 'a', T1 - 1),
      review('u', 'a', T1),
      review('u', 'a', T1 + 5),
      review('v', 'a', 1, 'short'),
      review('v', 'none', 1),
      review('v', 'brief', 1),
      review('w', 'a', 5, `u on a: ${LONG}`),
      review('x', 'b', 7),
    ]),
    lines([
      {
        parent_asin: 'a',
        title: 'Comb',
        features: ['for hair\tof all kinds', 'wood'],
        description: ['A comb.\nNice.'],
      },
      { parent_asin: 'b', title: 'A brush with very soft hair', description: ['of goats'] },
      { parent_asin: 'brief', title: 'Soap' },
    ]),
  );
  const out = join(folder, 'pairs.tsv.gz');
  const report = await build([path], out);
  assert.equal(report.dropped, {
    'not sampled': 0,
    'at or after the split time': 2,
    'review too short': 1,
    'item without metadata': 1,
    'item text too short': 1,
    'repeated review of an item': 1,
  });
  assert.equal([report.reviews, report.pairs.train, report.users, report.items], [8, 2, 2, 2]);
  assert.equal(await read(out), [
    {
      split: 'train',
      domain: 'Beauty',
      item: 'a',
      review: `fine u on a: ${LONG}`,
      metadata: 'Comb for hair of all kinds wood A comb. Nice.',
    },
    {
      split: 'train',
      domain: 'Beauty',
      item: 'b',
      review: `fine x on b: ${LONG}`,
      metadata: 'A brush with very soft hair of goats',
    },
  ]);
  assert.match(
    gunzipSync(readFileSync(out)).toString('latin1'),
    /^split\tdomain\tuser\titem\treview\tmetadata\n/,
  );
});

test('seconds and milliseconds, lists of reviews by user, products inside reviews', async ({ folder }) => {
  const seconds = Math.floor(T1 / 1000);
  const product = { title: `A product whose title is ${LONG}` };
  const nested = {
    user_id: 'n',
    history: [
      { parent_asin: 'p', timestamp_ms: T1 - 1, review_title: 'ok', review_full: LONG, product },
      { parent_asin: 'p', timestamp_ms: T1, review_title: 'no', review_full: LONG, product },
      'not a review',
    ],
  };
  const old = (time: number, text: string) => ({
    reviewerID: 'o',
    asin: 'q',
    unixReviewTime: time,
    summary: 'old',
    reviewText: text,
    product_name: `An old product, ${LONG}`,
  });
  const path = domain(
    folder,
    'mixed',
    lines([nested, old(seconds - 1, `${LONG} 1`), old(seconds + 1, `${LONG} 2`), {}]),
  );
  const out = join(folder, 'pairs.tsv');
  const report = await build([path], out);
  assert.equal(
    (await read(out)).map(({ item, review }) => [item, review]),
    [
      ['p', `ok ${LONG}`],
      ['q', `old ${LONG} 1`],
    ],
  );
  assert.equal(report.dropped['at or after the split time'], 2);
  assert.equal(
    report.badRows.map(({ reason, count, lines }) => [reason, count, lines]),
    [
      ['a review is not a JSON object', 1, [1]],
      ['no user id', 1, [4]],
    ],
  );
  assert.match(
    await failure(build([path], out, { strict: true })),
    /line 1: a review is not a JSON object \(pairs.strict is set\)/,
  );
});

test('sampling and splits depend on the reviews, not on their order; a user is in one split', async ({
  folder,
}) => {
  const rows = Array.from({ length: 600 }, (_, i) => review(`u${i % 100}`, `i${i % 7}`, 1000 + i));
  const meta = lines(
    Array.from({ length: 7 }, (_, i) => ({ parent_asin: `i${i}`, title: `Item ${i}: ${LONG}` })),
  );
  const settings = { sample: 0.4, valid: 0.2, test: 0.2 };
  const [a, b] = [join(folder, 'a.tsv'), join(folder, 'b.tsv')];
  const unique = rows.map((row, i) => ({ ...row, text: `${LONG} ${i}` }));
  const one = await build([domain(folder, 'one', lines(unique), meta)], a, settings);
  await build([domain(folder, 'two', lines([...unique].reverse()), meta)], b, settings);
  const key = ({ split, item, review }: Pair) => `${split} ${item} ${review}`;
  assert.equal((await read(a)).map(key).sort(), (await read(b)).map(key).sort());
  assert.ok(Math.abs(one.dropped['not sampled'] / 600 - 0.6) < 0.1);
  const splits = new Map<string, Set<string>>();
  for (const line of readFileSync(a, 'utf8').trimEnd().split('\n').slice(1)) {
    const [split, , user] = line.split('\t');
    splits.set(user, (splits.get(user) ?? new Set()).add(split));
  }
  assert.ok([...splits.values()].every((set) => set.size === 1));
  assert.equal(new Set([...splits.values()].flatMap((set) => [...set])), new Set(['train', 'valid', 'test']));
});

test('what cannot be used is refused by name', async ({ folder }) => {
  const empty = join(folder, 'empty');
  mkdirSync(empty);
  assert.match(await failure(build([empty], join(folder, 'x'))), /no reviews in JSON .*it holds nothing/);
  const late = domain(
    folder,
    'late',
    lines([review('u', 'a', T1)]),
    lines([{ parent_asin: 'a', title: LONG }]),
  );
  const message = await failure(build([late], join(folder, 'out.tsv')));
  assert.match(message, /no pair to train on is left of 1 reviews: 1 at or after the split time/);
  assert.throws(() => readFileSync(join(folder, 'out.tsv')), /ENOENT/);

  const file = join(folder, 'p.tsv');
  const reading = async (text: string) => {
    writeFileSync(file, text);
    return failure(read(file));
  };
  assert.match(await reading('reviews\tmeta\n'), /p.tsv:1: no column 'review' \(did you mean 'reviews'\?\)/);
  assert.match(await reading('review\tmetadata\na\tb\tc\n'), /p.tsv:2: 3 cells, but the header has 2/);
  assert.match(await reading('split\treview\tmetadata\ndev\ta\tb\n'), /p.tsv:2: split 'dev' must be one of/);
  assert.match(await reading(''), /the file is empty/);
});

test("the official script's two columns are read; empty texts are counted", async ({ folder }) => {
  const file = join(folder, 'clean_review_meta.tsv');
  writeFileSync(file, 'review\tmeta\ngood comb\tComb\n\tBrush\n');
  const pairs: Pair[] = [];
  assert.is(await forEachPair(file, new Progress(), (pair) => pairs.push(pair)), 1);
  assert.equal(pairs, [{ split: 'train', domain: '', item: 'Comb', review: 'good comb', metadata: 'Comb' }]);
});

test('real reviews: all are accounted for', async ({ folder }) => {
  const shared = realFolder('amazon2023-multicategory');
  if (!shared) return;
  const report = await build([shared], join(folder, 'real.tsv.gz'));
  const dropped = Object.values(report.dropped).reduce((sum, n) => sum + n, 0);
  assert.is(report.pairs.train + dropped, report.reviews);
  assert.ok(report.dropped['at or after the split time'] > 0);
});

test.run();
