import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Progress } from '../../common/progress.ts';
import { seeded } from '../../common/random.ts';
import { Database, type SqlEngine } from '../../data/database.ts';
import type { Manifest } from '../../data/dataset.ts';
import { Rules } from '../../data/rules.ts';

/** Who took what when; users and items by number. */
export type Review = [user: number, item: number, time: number, split?: number];

/** Reviews with many repeats and ties. */
export function randomReviews(seed: number, n = 400): Review[] {
  const random = seeded(seed, 'rules test');
  return Array.from({ length: n }, () => [
    random.below(30),
    random.below(25),
    random.below(12),
    random.below(3),
  ]);
}

/** Makes the table that the rules begin with, in any engine. */
export async function makeReviews(sql: SqlEngine, reviews: readonly Review[]): Promise<void> {
  await sql.run(
    'CREATE TABLE reviews (seq BIGINT, user_name TEXT, item_name TEXT, time DOUBLE PRECISION, split INTEGER)',
  );
  const rows = reviews.map(
    ([user, item, time, split], seq) => `(${seq}, 'u${user}', 'i${item}', ${time}, ${split ?? 'NULL'})`,
  );
  if (rows.length) await sql.run(`INSERT INTO reviews VALUES ${rows}`);
}

export interface RulesAtWork {
  database: Database;
  rules: Rules;
  steps: Manifest['steps'];
}

/** Runs `use` with the rules on an empty DuckDB. */
export async function withRules(use: (at: RulesAtWork) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'rec-rules-'));
  const options = { memoryGB: 0.5, spillFolder: join(folder, 'spill'), progress: new Progress() };
  try {
    await Database.with(options, async (database) => {
      const steps: Manifest['steps'] = [];
      const rules = new Rules(database, (rule, unit, before, after, note) => {
        steps.push({ rule, unit, in: before, out: after, note });
      });
      await use({ database, rules, steps });
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The interactions that rules have left, in the order of `seq`. */
export async function left(database: Database): Promise<Review[]> {
  const rows = await database.rows(`
    SELECT CAST(user_name[2:] AS INTEGER), CAST(item_name[2:] AS INTEGER), time, split
    FROM interactions JOIN users USING (user_id) JOIN items USING (item_id) ORDER BY seq`);
  return rows as Review[];
}
