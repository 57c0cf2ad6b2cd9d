import { join } from 'node:path';
import { UsageError, UserError } from '../common/errors.ts';
import { type Database, quoted } from './database.ts';
import type { ExportFormat } from './export-formats.ts';
import { isSplit, openInteractions, split } from './prepare.ts';
import type { Reading } from './readers/layout.ts';
import { itemShape } from './readers/source.ts';
import type { PrepareContext } from './steps.ts';
import { splitNames } from './table.ts';

type Format = Exclude<ExportFormat, 'recbole-split'>;

/** How DuckDB writes a kind of file. */
const kinds = {
  tabs: "(FORMAT csv, HEADER, DELIMITER '\t', QUOTE '', ESCAPE '')",
  csv: '(FORMAT csv, HEADER)',
  json: '(FORMAT json)',
  parquet: '(FORMAT parquet)',
} as const;

interface Output {
  file: string;
  sql: string;
  kind: keyof typeof kinds;
}

/**
 * Reads a source, applies the rules that come before the split, and writes what is left with the source's own ids, times
 * and ratings, in the order of its files where that keeps the order of users (with histories: user by user). The statements are DuckDB's own, as those of Loader are.
 * @throws UsageError for rows without times, UserError for ids that the layout cannot hold
 */
export async function writeInteractions(
  reading: Reading,
  context: PrepareContext,
  format: Format,
  name: string,
): Promise<void> {
  const { database, folder, progress, settings } = context;
  if ('rows' in reading)
    throw new UsageError(
      `${reading.path}: its rows have histories and no timestamps; recbole-split can hold them, ${format} cannot.`,
    );
  const { rules, items } = await openInteractions(reading, context);
  if (format === 'csv-histories') await split(rules, settings, isSplit(reading));
  await gather(database);
  await requireFittingIds(database, format);
  const outputs = await interactionFiles(database, format, name);
  if (items) outputs.push(await itemFile(database, format, name, reading.items?.complete !== false));
  for (const { file, sql, kind } of outputs)
    await database.run(`COPY (${sql}) TO ${quoted(join(folder, file))} ${kinds[kind]}`);
  progress.end();
}

/** Makes the table `exported`: the interactions that are left, `time` being what the source says. */
async function gather(database: Database): Promise<void> {
  await database.run(`
    CREATE TABLE exported AS
    SELECT CAST(seq AS BIGINT) AS seq, user_id AS place, read_reviews.user_name, read_reviews.item_name, rating, read_reviews.time, interactions.split
    FROM interactions JOIN read_reviews ON read_reviews.rowid = seq`);
  // Users are numbered as they appear. Where a repeat that was dropped came first, only rows user by user keep that order.
  const [turned] = await database.numbers(`
    SELECT count(*) FROM (SELECT place, lag(place) OVER (ORDER BY min(seq)) AS before FROM exported GROUP BY place)
    WHERE before > place`);
  if (turned)
    await database.run('UPDATE exported SET seq = place * (SELECT max(seq) + 1 FROM exported) + seq');
  // Whole numbers are written as such.
  const [fractions] = await database.numbers('SELECT count(*) FROM exported WHERE time <> floor(time)');
  if (!fractions) await database.run('ALTER TABLE exported ALTER time TYPE BIGINT');
}

/** Spaces separate the items of a history, tabs the cells of RecBole's files, where a quote would begin a quoted cell. */
async function requireFittingIds(database: Database, format: Format): Promise<void> {
  const misfit = { recbole: `^"|[\\t\\r\\n]`, 'csv-histories': '\\s', csv: undefined, parquet: undefined }[
    format
  ];
  if (misfit === undefined) return;
  const ids = format === 'recbole' ? '(user_name), (item_name)' : '(item_name)';
  const [found] = await database.rows(`
    SELECT id FROM exported, (VALUES ${ids}) AS ids(id) WHERE regexp_matches(id, ${quoted(misfit)}) LIMIT 1`);
  if (found)
    throw new UserError(
      `the layout ${format} cannot hold the id ${JSON.stringify(found[0])}; csv or parquet can.`,
    );
}

async function interactionFiles(database: Database, format: Format, name: string): Promise<Output[]> {
  // Where some ratings are missing none can be written: an empty cell would be no number.
  const [unrated] = await database.numbers('SELECT count(*) FROM exported WHERE rating IS NULL');
  const select = (user: string, item: string, rating: string, time: string) =>
    [
      `user_name AS "${user}"`,
      `item_name AS "${item}"`,
      ...(unrated ? [] : [`rating AS "${rating}"`]),
      `time AS "${time}"`,
    ].join(', ');
  const amazon = select('user_id', 'parent_asin', 'rating', 'timestamp');
  switch (format) {
    case 'recbole': {
      const columns = select('user_id:token', 'item_id:token', 'rating:float', 'timestamp:float');
      return [{ file: `${name}.inter`, sql: `SELECT ${columns} FROM exported ORDER BY seq`, kind: 'tabs' }];
    }
    case 'parquet':
      return [
        { file: `${name}.parquet`, sql: `SELECT ${amazon} FROM exported ORDER BY seq`, kind: 'parquet' },
      ];
    case 'csv':
      return [{ file: `${name}.csv`, sql: `SELECT ${amazon} FROM exported ORDER BY seq`, kind: 'csv' }];
    case 'csv-histories':
      await database.run(`
        CREATE TABLE with_histories AS
        SELECT *, string_agg(item_name, ' ') OVER (
          PARTITION BY place ORDER BY time, seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS history
        FROM exported`);
      return splitNames.map((split, number) => ({
        file: `${name}.${split}.csv`,
        sql: `SELECT ${amazon}, history FROM with_histories WHERE split = ${number} ORDER BY place, time, seq`,
        kind: 'csv',
      }));
  }
}

/**
 * The items of the interactions, in the order of the source's files, with the fields that some item has.
 * @param complete false where items without a description are items all the same: they get an empty one
 */
async function itemFile(
  database: Database,
  format: Format,
  name: string,
  complete: boolean,
): Promise<Output> {
  const all = Object.keys(itemShape).filter((column) => column !== 'item_name');
  await database.run(`
    CREATE TABLE exported_items AS
    SELECT item_name, place, ${all.map((field) => `nullif(${field}, 'null') AS ${field}`)}
    FROM (SELECT DISTINCT item_name FROM exported)
      ${complete ? '' : 'LEFT'} JOIN described USING (item_name) LEFT JOIN read_items ON read_items.rowid = place`);
  const fields: string[] = [];
  for (const field of all) {
    const [used] = await database.numbers(`SELECT count(${field}) FROM exported_items`);
    if (used) fields.push(field);
  }
  const nameOf = (field: string) => (field === 'ready' ? 'item_text' : field);
  const rows = (columns: string[]) => `SELECT ${columns} FROM exported_items ORDER BY place, item_name`;
  if (format === 'recbole') {
    const columns = fields.map((field) => `${tabCell(field)} AS "${nameOf(field)}:token_seq"`);
    return { file: `${name}.item`, sql: rows([`item_name AS "item_id:token"`, ...columns]), kind: 'tabs' };
  }
  if (format !== 'parquet') {
    const columns = fields.map((field) => `CAST(${field} AS JSON) AS ${nameOf(field)}`);
    return { file: `meta_${name}.jsonl`, sql: rows(['item_name AS parent_asin', ...columns]), kind: 'json' };
  }
  const columns: string[] = [];
  for (const field of fields) columns.push(`${await parquetColumn(database, field)} AS ${nameOf(field)}`);
  return {
    file: `meta_${name}.parquet`,
    sql: rows(['item_name AS parent_asin', ...columns]),
    kind: 'parquet',
  };
}

/**
 * A cell as the reader's macro tab_cell understands it: text as it is, where a cell can hold it, else as JSON. A JSON
 * string has its quotes as \u0022: pandas, with which RecBole reads, ends a cell that begins with a quote at the next one.
 */
function tabCell(field: string): string {
  const text = `json_extract_string(${field}, '$')`;
  const json = `CAST(json(${field}) AS VARCHAR)`;
  // Behind an escaped backslash a quote is not escaped. Control characters do not occur in JSON.
  const string = `'"' || replace(replace(replace(${json}[2:-2], '\\\\', chr(1)), '\\"', '\\u0022'), chr(1), '\\\\') || '"'`;
  return `CASE
    WHEN json_type(${field}) <> 'VARCHAR' THEN ${json}
    WHEN ${text} = '' OR regexp_matches(${text}, '^["\\[{]|[\\t\\r\\n]') THEN ${string}
    ELSE ${text} END`;
}

/** Text or a list of texts, where all items have that; else JSON. */
async function parquetColumn(database: Database, field: string): Promise<string> {
  const [texts, lists, all] = await database.numbers(`
    SELECT count(*) FILTER (WHERE json_type(${field}) = 'VARCHAR'),
      count(*) FILTER (WHERE json_type(${field}) = 'ARRAY' AND list_bool_and(list_transform(
        json_extract(${field}, '$[*]'), lambda value: json_type(value) = 'VARCHAR')) IS NOT FALSE),
      count(${field})
    FROM exported_items`);
  if (texts === all) return `json_extract_string(${field}, '$')`;
  if (lists === all) return `json_extract_string(${field}, '$[*]')`;
  return `CAST(${field} AS JSON)`;
}
