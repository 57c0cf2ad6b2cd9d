import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SqlEngine } from '../../data/database.ts';
import type { Manifest } from '../../data/dataset.ts';
import { arrange, choose, split } from '../../data/prepare.ts';
import { Rules, sequencesInOrder } from '../../data/rules.ts';
import { type DataSettings, dataSettings } from '../../data/settings.ts';
import { Steps } from '../../data/steps.ts';
import { skipped } from '../skip.ts';
import { realFolder } from './helpers.ts';
import { findPostgres, Postgres } from './postgres.ts';
import { makeReviews, randomReviews, withRules } from './reviews.ts';

// The rules of preparation, run by DuckDB and by PostgreSQL: the same SQL, with equal results.

const bin = findPostgres();
if (!bin) skipped('PostgreSQL is not installed (Debian: postgresql)');

const candidatesInOrder = 'SELECT item_number, item_name FROM candidates ORDER BY item_number';
const usersInOrder =
  'SELECT user_number, user_name FROM row_users JOIN users USING (user_id) ORDER BY user_number';

/** What there is beside the reviews. */
interface Input {
  inFiles?: boolean;
  described?: boolean;
  listed?: boolean;
}

interface Outcome {
  counts: Manifest['counts'];
  steps: Manifest['steps'];
  /** Users' items in order, candidates and users, as lines of cells. */
  tables: string[];
}

async function outcome(
  sql: SqlEngine,
  settings: DataSettings,
  input: Input,
  query: (sql: string) => Promise<string>,
): Promise<Outcome> {
  const steps = new Steps();
  const rules = new Rules(sql, steps.add);
  await choose(rules, settings, 1, 0);
  await split(rules, settings, input.inFiles === true);
  if (input.described) await rules.dropUndescribed('some');
  const counts = await arrange(rules, input.listed === true);
  const tables: string[] = [];
  for (const table of [sequencesInOrder, candidatesInOrder, usersInOrder]) tables.push(await query(table));
  return { counts, steps: steps.list, tables };
}

/** Both engines' outcomes of the same reviews; `make` makes the tables that the rules begin with. */
async function both(
  postgres: Postgres,
  name: string,
  settings: Record<string, unknown>,
  input: Input,
  make: (sql: SqlEngine, copy?: Postgres) => Promise<void>,
): Promise<[Outcome, Outcome]> {
  const parsed = dataSettings.parse(settings);
  postgres.renew(name);
  await make(postgres, postgres);
  const theirs = await outcome(postgres, parsed, input, async (sql) => postgres.query(sql));
  let ours: Outcome | undefined;
  await withRules(async ({ database }) => {
    await make(database);
    ours = await outcome(database, parsed, input, async (sql) =>
      (await database.rows(sql)).map((row) => row.join('\t')).join('\n'),
    );
  });
  return [ours!, theirs];
}

const cases: { name: string; settings?: Record<string, unknown>; input?: Input }[] = [
  { name: 'as_it_is' },
  { name: 'five_core', settings: { kcore: 5 } },
  { name: 'by_time', settings: { split: 'timestamp', timestamps: [4000, 8000] } },
  { name: 'files', input: { inFiles: true } },
  { name: 'with_metadata', settings: { kcore: 2 }, input: { described: true } },
  { name: 'listed', input: { listed: true } },
  { name: 'random_ties', settings: { ties: 'random' } },
  { name: 'with_repeats', settings: { dedupe: false } },
];

if (bin)
  test('equal results for random tables, rule by rule', async () => {
    const postgres = Postgres.start(bin);
    try {
      for (const [seed, { name, settings = {}, input = {} }] of cases.entries()) {
        const [ours, theirs] = await both(postgres, name, settings, input, async (sql) => {
          await makeReviews(sql, randomReviews(seed));
          const names = Array.from({ length: 25 }, (_, i) => `(${i}, 'i${i}')`);
          await sql.run('CREATE TABLE described (item_name TEXT)');
          await sql.run(
            `INSERT INTO described VALUES ${names.slice(0, 20).map((row) => row.replace(/\d+, /, ''))}`,
          );
          await sql.run('CREATE TABLE listed (item_number INTEGER, item_name TEXT)');
          await sql.run(`INSERT INTO listed VALUES ${names}`);
        });
        assert.equal(theirs, ours, name);
        assert.ok(ours.counts.train > 0 && ours.tables.every((table) => table.length > 100));
      }
      const beauty = realFolder('amazon2014-beauty');
      if (!beauty) return;
      const rows = readFileSync(join(beauty, 'amazon2014-beauty.inter'), 'utf8')
        .trimEnd()
        .split('\n')
        .slice(1);
      const csv = rows.map((row, seq) => `${seq}\t${row}\t\\N`).join('\n');
      const [ours, theirs] = await both(postgres, 'beauty', { kcore: 5 }, {}, async (sql, copy) => {
        await makeReviews(sql, []);
        if (copy) copy.query('COPY reviews FROM STDIN', csv);
        else
          await sql.run(`
            INSERT INTO reviews SELECT row_number() OVER () - 1, user_name, item_name, time, NULL
            FROM read_csv('${join(beauty, 'amazon2014-beauty.inter')}', auto_detect = false, header = false, skip = 1,
              delim = '\t', columns = {user_name: 'VARCHAR', item_name: 'VARCHAR', time: 'DOUBLE'})`);
      });
      assert.equal(theirs.counts, ours.counts);
      assert.equal(theirs.steps, ours.steps);
      assert.ok(ours.counts.interactions > 150_000);
      for (const [i, table] of ours.tables.entries())
        assert.ok(theirs.tables[i] === table, `table ${i} differs`);
    } finally {
      postgres.close();
    }
  });

test.run();
