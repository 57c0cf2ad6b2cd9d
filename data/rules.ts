import type { SqlEngine } from './database.ts';
import type { SplitTimes } from './dataset.ts';
import type { DataSettings } from './settings.ts';
import { splitRules, WITHOUT_METADATA } from './steps.ts';
import { splitNames } from './table.ts';

/**
 * The rules of preparation, in SQL that DuckDB and PostgreSQL run alike (test/data/postgres.test.ts).
 *
 * They begin with a table or view `reviews` (seq, user_name, item_name, time, split): who took what when, `seq` being the
 * order of the files, `split` 0, 1 or 2 where the files are split, else NULL. Each rule turns the table `interactions` into
 * the next one. They end with the tables
 * - sequences (user_id, item_id, split, position): the users' items, oldest first, position from 0
 * - candidates (item_number, item_id, item_name): the items of the dataset
 * - row_users (user_number, user_id): the users of the dataset
 */
export class Rules {
  readonly #sql: SqlEngine;
  readonly #record: (rule: string, unit: string, before: number, after: number, note?: string) => void;
  #count = 0;

  /** @param record is told of every rule what went in and what came out. */
  constructor(sql: SqlEngine, record: (...step: [string, string, number, number, string?]) => void) {
    this.#sql = sql;
    this.#record = record;
  }

  /**
   * Numbers users and items in order of their first appearance, and makes times milliseconds.
   * @param badRows rows that could not be read, for the record
   */
  async number(badRows: number, now = Date.now()): Promise<void> {
    const [count, latest] = await this.#sql.numbers('SELECT count(*), max(time) FROM reviews');
    // Below 1e11, which is 1973 in ms and the year 5138 in s, times are in seconds.
    const seconds = latest > 0 && latest < 1e11;
    for (const name of ['user', 'item'])
      await this.#sql.run(`
        CREATE TABLE ${name}s AS
        SELECT ${name}_name, CAST(row_number() OVER (ORDER BY min(seq)) - 1 AS INTEGER) AS ${name}_id
        FROM reviews GROUP BY ${name}_name`);
    await this.#sql.run(`
      CREATE TABLE interactions AS
      SELECT seq, user_id, item_id, ${seconds ? 'time * 1000 AS time' : 'time'}, split
      FROM reviews JOIN users USING (user_name) JOIN items USING (item_name)`);
    this.#count = count;
    const [early, late] = await this.#sql.numbers(`
      SELECT count(CASE WHEN time <= 0 THEN 1 END), count(CASE WHEN time > ${now} THEN 1 END) FROM interactions`);
    const notes: string[] = [];
    if (seconds) notes.push('timestamps were in seconds');
    if (early) notes.push(`${early} are of 1970 or before: has their time been lost?`);
    if (late) notes.push(`${late} lie in the future`);
    this.#record('read interactions', 'rows', count + badRows, count, notes.join('; ') || undefined);
  }

  /** Of several interactions of one user with one item keeps the earliest; of equally early ones, the first in the file. */
  async dedupe(): Promise<void> {
    await this.#next(`
      SELECT seq, user_id, item_id, time, split
      FROM (SELECT *, row_number() OVER (PARTITION BY user_id, item_id ORDER BY time, seq) AS nth FROM interactions) AS repeats
      WHERE nth = 1`);
    await this.#recordCount('keep the earliest of a user and an item');
  }

  /** Keeps users and items with at least k interactions, again and again until all have them. */
  async kCore(k: number): Promise<void> {
    const few = (id: string) => `
      (SELECT count(*) FROM (SELECT ${id} FROM interactions GROUP BY ${id} HAVING count(*) < ${k}) AS few)`;
    const [users, items] = await this.#sql.numbers(`SELECT ${few('user_id')}, ${few('item_id')}`);
    const enough = (id: string) => `
      ${id} IN (SELECT ${id} FROM interactions GROUP BY ${id} HAVING count(*) >= ${k})`;
    let before = this.#count;
    for (;;) {
      await this.#next(`SELECT * FROM interactions WHERE ${enough('user_id')} AND ${enough('item_id')}`);
      const [after] = await this.#sql.numbers('SELECT count(*) FROM interactions');
      if (after === before) break;
      before = after;
    }
    const note = `at first ${users} users and ${items} items had fewer than ${k}`;
    await this.#recordCount(`${k}-core`, note);
  }

  /** Puts interactions in an order drawn by `seed`, which decides ties of time from here on. */
  async shuffle(seed: number): Promise<void> {
    const drawn = `md5('${seed}/' || CAST(seq AS TEXT))`;
    await this.#next(`
      SELECT row_number() OVER (ORDER BY ${drawn}) AS seq, user_id, item_id, time, split FROM interactions`);
  }

  /** Train < t1 <= valid < t2 <= test. */
  async splitByTimestamp([t1, t2]: DataSettings['timestamps']): Promise<void> {
    await this.#next(`
      SELECT seq, user_id, item_id, time,
        CASE WHEN time < ${t1} THEN 0 WHEN time < ${t2} THEN 1 ELSE 2 END AS split
      FROM interactions`);
    this.#record(splitRules.timestamp, 'interactions', this.#count, this.#count, `t1 ${t1}, t2 ${t2} (ms)`);
  }

  /** A user's last interaction is test, the one before valid, the others train. */
  async splitLeaveLastOut(): Promise<void> {
    await this.#next(`
      SELECT seq, user_id, item_id, time,
        CASE length - nth WHEN 0 THEN 2 WHEN 1 THEN 1 ELSE 0 END AS split
      FROM (
        SELECT seq, user_id, item_id, time,
          row_number() OVER (PARTITION BY user_id ORDER BY time, seq) AS nth,
          count(*) OVER (PARTITION BY user_id) AS length
        FROM interactions) AS numbered`);
    const [short] = await this.#sql.numbers(`
      SELECT count(*) FROM (SELECT user_id FROM interactions GROUP BY user_id HAVING count(*) < 3) AS short`);
    const note = short
      ? `${short} users have fewer than 3 interactions and lack a train or valid one`
      : undefined;
    this.#record(splitRules['leave-last-out'], 'interactions', this.#count, this.#count, note);
  }

  /** Leaves the split as the files have it. */
  keepSplit(): void {
    this.#record(splitRules.files, 'interactions', this.#count, this.#count);
  }

  /** Keeps interactions with items that the table `described` (item_name) has. */
  async dropUndescribed(note: string): Promise<void> {
    await this.#next(`
      SELECT * FROM interactions WHERE item_id IN (SELECT item_id FROM items JOIN described USING (item_name))`);
    await this.#recordCount(WITHOUT_METADATA, note);
  }

  /**
   * Strings every user's items together. An interaction becomes a row, its history being all earlier ones of the user; the
   * first makes none, so that users with one interaction are left out.
   */
  async sequence(): Promise<void> {
    await this.#sql.run(`
      CREATE TABLE sequences AS
      SELECT user_id, item_id, split, nth - 1 AS position
      FROM (
        SELECT user_id, item_id, split,
          row_number() OVER (PARTITION BY user_id ORDER BY time, seq) AS nth,
          count(*) OVER (PARTITION BY user_id) AS length
        FROM interactions) AS numbered
      WHERE length > 1`);
    const [users] = await this.#sql.numbers('SELECT count(DISTINCT user_id) FROM interactions');
    this.#record('drop rows with an empty history', 'rows', this.#count, this.#count - users);
  }

  /** Numbers the users of rows in the order of the train, valid and test rows. */
  async numberUsers(): Promise<void> {
    await this.#sql.run(`
      CREATE TABLE row_users AS
      SELECT user_id, CAST(row_number() OVER (ORDER BY min(split), user_id) - 1 AS INTEGER) AS user_number
      FROM sequences WHERE position > 0 GROUP BY user_id`);
  }

  /**
   * Numbers the items of rows in order of first appearance over the train, valid and test rows, a row's target before
   * its history (the official `remap_id`). Only these are candidates.
   */
  async numberItems(): Promise<void> {
    // Where a user's item comes up: as the target of its row, and in the history of the first row after it, which is
    // looked for in train, then in valid, then in test.
    await this.#sql.run(`
      CREATE TABLE appearances AS
      SELECT item_id, split, user_id, position, 0 AS place FROM sequences WHERE position > 0
      UNION ALL
      SELECT item_id, later_split, user_id, later_position, place
      FROM (
        SELECT *,
          CASE WHEN in_train IS NOT NULL THEN 0 WHEN in_valid IS NOT NULL THEN 1 ELSE 2 END AS later_split,
          coalesce(in_train, in_valid, in_test) AS later_position
        FROM (
          SELECT item_id, split, user_id, position, position + 1 AS place,
            min(CASE split WHEN 0 THEN position END) OVER later AS in_train,
            min(CASE split WHEN 1 THEN position END) OVER later AS in_valid,
            min(CASE split WHEN 2 THEN position END) OVER later AS in_test
          FROM sequences
          WINDOW later AS (PARTITION BY user_id ORDER BY position ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
        ) AS followed
      ) AS histories
      WHERE later_position IS NOT NULL AND (position = 0 OR later_split < split)`);
    const order = 'split, user_id, position, place';
    await this.#sql.run(`
      CREATE TABLE candidates AS
      SELECT CAST(row_number() OVER (ORDER BY ${order}) - 1 AS INTEGER) AS item_number, item_id, item_name
      FROM (SELECT *, row_number() OVER (PARTITION BY item_id ORDER BY ${order}) AS nth FROM appearances) AS firsts
      JOIN items USING (item_id)
      WHERE nth = 1`);
    await this.#sql.run('DROP TABLE appearances');
    const note =
      'those of the rows, in order of first appearance (train, valid, test; a target before its history)';
    await this.#recordCandidates(note);
  }

  /** Takes the candidates from the table `listed` (item_number, item_name). */
  async takeListedItems(): Promise<void> {
    await this.#sql.run(`
      CREATE TABLE candidates AS
      SELECT item_number, item_id, item_name FROM listed LEFT JOIN items USING (item_name)`);
    await this.#recordCandidates("the source's own list, in its order");
  }

  /** How many users, items and rows there are. */
  async counts() {
    const rows = splitNames.map(
      (_, split) => `count(CASE WHEN position > 0 AND split = ${split} THEN 1 END)`,
    );
    const [interactions, train, valid, test] = await this.#sql.numbers(
      `SELECT count(*), ${rows} FROM sequences`,
    );
    const [users, items] = await this.#sql.numbers(
      'SELECT (SELECT count(*) FROM row_users), (SELECT count(*) FROM candidates)',
    );
    return { users, items, interactions, train, valid, test };
  }

  /** When the interactions of each split were. */
  async times(): Promise<SplitTimes> {
    const spans: ([number, number] | null)[] = [];
    for (const split of splitNames.keys()) {
      const [first, last] = await this.#sql.numbers(
        `SELECT min(time), max(time) FROM interactions WHERE split = ${split}`,
      );
      spans.push(Number.isNaN(first) ? null : [first, last]);
    }
    const [train, valid, test] = spans;
    const [trainAfterValid] = valid
      ? await this.#sql.numbers(`SELECT count(*) FROM interactions WHERE split = 0 AND time >= ${valid[0]}`)
      : [0];
    const [usersOutOfOrder] = await this.#sql.numbers(`
      SELECT count(*) FROM (
        SELECT user_id FROM interactions GROUP BY user_id
        HAVING max(CASE split WHEN 0 THEN time END) > min(CASE WHEN split > 0 THEN time END)
          OR max(CASE split WHEN 1 THEN time END) > min(CASE split WHEN 2 THEN time END)) AS out_of_order`);
    return { train, valid, test, trainAfterValid, usersOutOfOrder };
  }

  /** Interactions left so far. */
  get left(): number {
    return this.#count;
  }

  async #next(select: string): Promise<void> {
    await this.#sql.run(`CREATE TABLE next_interactions AS ${select}`);
    await this.#sql.run('DROP TABLE interactions');
    await this.#sql.run('ALTER TABLE next_interactions RENAME TO interactions');
  }

  async #recordCount(rule: string, note?: string): Promise<void> {
    const before = this.#count;
    [this.#count] = await this.#sql.numbers('SELECT count(*) FROM interactions');
    this.#record(rule, 'interactions', before, this.#count, note);
  }

  async #recordCandidates(note: string): Promise<void> {
    const [items, candidates] = await this.#sql.numbers(
      'SELECT (SELECT count(*) FROM items), (SELECT count(*) FROM candidates)',
    );
    this.#record('candidate items', 'items', items, candidates, note);
  }
}

/** The rows of the prepared dataset: (user_number, item_number, split) of every user's items, in order. */
export const sequencesInOrder = `
  SELECT user_number, item_number, split
  FROM sequences JOIN row_users USING (user_id) JOIN candidates USING (item_id)
  ORDER BY user_id, position`;
