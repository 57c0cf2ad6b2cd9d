import { basename } from 'node:path';
import { messageOf, UserError } from '../common/errors.ts';
import type { Progress } from '../common/progress.ts';
import type { Database } from './database.ts';
import { checkArchive, fileSize } from './readers/lines.ts';
import { findLines } from './readers/places.ts';
import {
  interactionShape,
  itemShape,
  type LineFormat,
  macros,
  type PushSource,
  type QuerySource,
  type RowSource,
  type Shape,
} from './readers/source.ts';
import { type BadRows, shownLines } from './table.ts';

/** A file of interactions; `split` is the number of the split that it is. */
export interface InteractionFile {
  source: RowSource<typeof interactionShape>;
  split?: number;
}

/** What was read of items. */
export interface ItemCounts {
  /** Rows read, and how many of them repeated an item that was there already (the first one counts). */
  rows: number;
  duplicates: number;
  /** Titles that held nothing but the start of an HTML tag, left by scraping; treated as missing. */
  brokenTags: number;
}

/**
 * Reads files into tables, row by row in their order: what is good, what is not, and why.
 *
 * These statements are DuckDB's own: they read files, and number rows by their `rowid`, which counts the rows of a table in
 * the order in which they were inserted.
 */
export class Loader {
  readonly #database: Database;
  readonly #bad: BadRows;
  readonly #progress: Progress;

  private constructor(database: Database, bad: BadRows, progress: Progress) {
    this.#database = database;
    this.#bad = bad;
    this.#progress = progress;
  }

  static async open(database: Database, bad: BadRows, progress: Progress): Promise<Loader> {
    await database.run(macros);
    return new Loader(database, bad, progress);
  }

  /** Reads interactions into `reviews` (seq, user_name, item_name, time, split); returns how many there are. */
  async interactions(files: readonly InteractionFile[]): Promise<number> {
    await this.#database.run(`
      CREATE TABLE read_reviews (
        line INTEGER, user_name TEXT, item_name TEXT, time DOUBLE, rating DOUBLE, split INTEGER, problem TEXT)`);
    for (const { source, split } of files)
      await this.#load(
        'read_reviews',
        source,
        interactionShape,
        (rows) => `
        SELECT line, user_name, item_name, time, rating_value, ${split ?? 'NULL'},
          CASE
            WHEN problem IS NOT NULL THEN problem
            WHEN user_name IS NULL THEN 'no user id'
            WHEN item_name IS NULL THEN 'no item id'
            WHEN time IS NULL THEN 'timestamp is not a number'
            WHEN rating IS NOT NULL AND rating_value IS NULL THEN 'rating is not a number'
          END
        FROM (
          SELECT line, problem, identifier(user_name) AS user_name, identifier(item_name) AS item_name,
            finite(TRY_CAST(time AS DOUBLE)) AS time, rating, finite(TRY_CAST(rating AS DOUBLE)) AS rating_value
          FROM (${rows}))`,
      );
    await this.#database.run(`
      CREATE VIEW reviews AS
      SELECT rowid AS seq, user_name, item_name, time, split FROM read_reviews WHERE problem IS NULL`);
    const [count] = await this.#database.numbers('SELECT count(*) FROM reviews');
    return count;
  }

  /**
   * Reads items into `read_items`, the fields of a text as JSON, and into `described` (item_name, place), where `place` is
   * the rowid of an item's first row there.
   */
  async items(files: readonly RowSource<typeof itemShape>[]): Promise<ItemCounts> {
    await this.#database.run(`
      CREATE TABLE read_items (
        line INTEGER, item_name TEXT, title TEXT, features TEXT, categories TEXT, description TEXT, ready TEXT,
        broken_tag BOOLEAN, problem TEXT)`);
    let left = 0;
    for (const source of files)
      left += await this.#load(
        'read_items',
        source,
        itemShape,
        (rows) => `
        SELECT line, item_name, CASE WHEN NOT broken_tag THEN title END, features, categories, description, ready, broken_tag,
          CASE WHEN problem IS NOT NULL THEN problem WHEN item_name IS NULL THEN 'no item id' END
        FROM (
          SELECT * REPLACE (identifier(item_name) AS item_name),
            coalesce(regexp_matches(json_extract_string(title, '$'), '^\\s*<[a-z][^>]*$', 'i'), false) AS broken_tag
          FROM (${rows}))`,
      );
    await this.#database.run(`
      CREATE TABLE described AS
      SELECT item_name, min(rowid) AS place FROM read_items WHERE problem IS NULL GROUP BY item_name`);
    const [rows, good, items] = await this.#database.numbers(`
      SELECT count(*), count(*) FILTER (WHERE problem IS NULL), (SELECT count(*) FROM described) FROM read_items`);
    const [brokenTags] = await this.#database.numbers(`
      SELECT count(*) FROM described JOIN read_items ON read_items.rowid = place WHERE broken_tag`);
    return { rows: rows + left, duplicates: good - items, brokenTags };
  }

  /**
   * Adds the rows of a file to a table.
   * @param select makes rows of the table from rows of the shape, with `line` (NULL where it is to be found) and `problem`
   * @returns rows that were left out, as their cells could not be told apart
   */
  async #load<S extends Shape>(
    table: string,
    source: RowSource<S>,
    shape: S,
    select: (rows: string) => string,
  ): Promise<number> {
    const [before] = await this.#database.numbers(`SELECT count(*) FROM ${table}`);
    if ('push' in source) {
      await this.#push(table, source, shape, select);
      await this.#report(table, before, source.path);
      return 0;
    }
    await this.#query(
      `INSERT INTO ${table} ${select(`SELECT NULL AS line, *, NULL AS problem FROM (${source.query})`)}`,
      source.path,
    );
    const rejects = await this.#rejects(source);
    const [after] = await this.#database.numbers(`SELECT count(*) FROM ${table}`);
    if (after === before && source.format === 'lines')
      throw new UserError(`${source.path}: the file is empty; JSON records were expected.`);
    const [bad] = await this.#database.numbers(
      `SELECT count(*) FROM ${table} WHERE rowid >= ${before} AND problem IS NOT NULL`,
    );
    if (bad && source.unreadable)
      await this.#database.run(`
        UPDATE ${table} SET problem = unreadable.problem FROM (${source.unreadable}) AS unreadable
        WHERE ${table}.rowid = ${before} + place`);
    await this.#report(table, before, source.path, source.format, rejects);
    return rejects.records.length;
  }

  /** Has DuckDB read a file, and makes sure that an archive is whole. */
  async #query(sql: string, path: string): Promise<void> {
    const size = await fileSize(path);
    this.#progress.begin(`read ${basename(path)}`, 'bytes', size);
    const reading = this.#database.run(sql, (done) => this.#progress.advance(done * size, size));
    if (path.endsWith('.gz')) {
      reading.catch(() => {});
      await checkArchive(path, this.#progress).catch(async (error) => {
        this.#database.interrupt();
        await reading.catch(() => {});
        throw error;
      });
    }
    await reading.catch((error) => {
      throw /state machine reached an invalid state/.test(messageOf(error))
        ? new UserError(`${path}: cannot be read as CSV; do all its lines end alike (\\n or \\r\\n)?`)
        : error;
    });
    this.#progress.end();
  }

  async #push<S extends Shape>(
    table: string,
    source: PushSource<S>,
    shape: S,
    select: (rows: string) => string,
  ): Promise<void> {
    const columns = Object.keys(shape);
    await this.#database.run(
      `CREATE TABLE pushed (line INTEGER, ${columns.map((column) => `${column} TEXT`)}, problem TEXT)`,
    );
    await this.#database.append('pushed', (add) =>
      source.push(
        (line, row) => add([line, ...columns.map((column) => row[column]), null]),
        this.#bad,
        this.#progress,
      ),
    );
    await this.#database.run(`INSERT INTO ${table} ${select('SELECT * FROM pushed')}`);
    await this.#database.run('DROP TABLE pushed');
  }

  /** What DuckDB left out of the CSV file just read. */
  async #rejects({ format }: QuerySource): Promise<Rejects> {
    const rejects: Rejects = { records: new Int32Array(0), found: [] };
    if (format !== 'csv' && format !== 'tsv') return rejects;
    // A record may have several errors. The first says what is wrong, save that every column too many is an error.
    await this.#database.run(`
      CREATE TABLE rejected AS
      SELECT CAST(line AS INTEGER) AS record, first(error_type ORDER BY column_idx) AS type,
        CASE type WHEN 'TOO MANY COLUMNS' THEN last(error_message ORDER BY column_idx)
          ELSE first(error_message ORDER BY column_idx) END AS message
      FROM rejects GROUP BY line`);
    const kinds = await this.#database.rows(
      `SELECT type, message, count(*), min(record, ${shownLines}) FROM rejected GROUP BY type, message`,
    );
    for (const [type, message, count, records] of kinds)
      rejects.found.push({
        reason: reasonOf(String(type), String(message)),
        count: Number(count),
        records: records as number[],
      });
    const [count] = await this.#database.numbers('SELECT count(*) FROM rejected');
    rejects.records = new Int32Array(count);
    let at = 0;
    for await (const { columns } of this.#database.blocks('SELECT record FROM rejected ORDER BY record'))
      for (const record of columns[0] as number[]) rejects.records[at++] = record;
    await this.#database.run('DROP TABLE rejected; DROP TABLE rejects; DROP TABLE reject_scans');
    return rejects;
  }

  /** Counts the bad rows of the file just read, and names the first ones by their lines. */
  async #report(
    table: string,
    before: number,
    path: string,
    format: LineFormat = 'rows',
    rejects: Rejects = { records: new Int32Array(0), found: [] },
  ): Promise<void> {
    const problems = await this.#database.rows(`
      SELECT problem, count(*), min(coalesce(line, rowid - ${before} + 1), ${shownLines})
      FROM ${table} WHERE rowid >= ${before} AND problem IS NOT NULL GROUP BY problem`);
    if (!problems.length && !rejects.found.length) return;
    const numbers = problems.map(([, , rows]) => (rows as unknown[]).map(Number));
    const places =
      format === 'rows'
        ? undefined
        : await findLines(path, format, numbers.flat(), rejects.records, this.#progress);
    const told = [
      ...problems.map(([reason, count], i) => ({
        reason: String(reason),
        count: Number(count),
        lines: numbers[i].map((row) => places?.row.get(row) ?? row),
      })),
      ...rejects.found.map(({ reason, count, records }) => ({
        reason,
        count,
        lines: records.map((record) => places?.record.get(record) ?? record),
      })),
    ];
    told.sort((a, b) => a.lines[0] - b.lines[0]);
    for (const { reason, count, lines } of told) this.#bad.addAll(path, reason, count, lines);
  }
}

/** Records that DuckDB left out of a CSV file. */
interface Rejects {
  /** Their numbers, ascending; the header and empty lines count. */
  records: Int32Array;
  /** Why, and the first ones of each kind. */
  found: { reason: string; count: number; records: number[] }[];
}

/** DuckDB's reason for leaving out a record, in our words. */
function reasonOf(type: string, message: string): string {
  const columns = /Columns: (\d+) Found: (\d+)/.exec(message);
  if (columns) return `${columns[2]} columns where the header has ${columns[1]}`;
  if (type === 'UNQUOTED VALUE') return 'broken CSV quoting';
  if (type === 'INVALID ENCODING') return 'not valid UTF-8; convert the file, as by iconv -f LATIN1 -t UTF-8';
  if (type === 'LINE SIZE OVER MAXIMUM') return 'longer than 2 MB';
  return message;
}
