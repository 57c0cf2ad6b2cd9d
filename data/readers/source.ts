import type { Progress } from '../../common/progress.ts';
import { type Cell, type FileColumn, quotedName, quotedPath } from '../database.ts';
import type { BadRows } from '../table.ts';
import { findColumn } from './csv.ts';

/**
 * The columns that a kind of rows has, and what is read into each: `text` is a plain value, `json` any value as JSON.
 */
export type Shape = Record<string, 'text' | 'json'>;

/** Who took what when. */
export const interactionShape = {
  user_name: 'text',
  item_name: 'text',
  time: 'text',
  rating: 'text',
} as const;

/** What an item is. `ready` is a finished text, in place of one made of the fields. */
export const itemShape = {
  item_name: 'text',
  title: 'json',
  features: 'json',
  categories: 'json',
  description: 'json',
  ready: 'json',
} as const;

/** The names that a column may have in a file, preferred first; a column that is not in the file may be left out. */
export type Names<S extends Shape> = { [column in keyof S]?: readonly string[] };

/** The rows of one file. */
export type RowSource<S extends Shape> = QuerySource | PushSource<S>;

/** Rows that DuckDB reads by itself. */
export interface QuerySource {
  path: string;
  /** Gives the columns of the shape. */
  query: string;
  /** Gives (place, problem) of the rows that could not be read at all, `place` from 0; asked where rows are bad. */
  unreadable?: string;
  /** How to find the line of a row, for messages. */
  format: LineFormat;
}

/** Rows of odd formats, which a reader hands over one by one. */
export interface PushSource<S extends Shape> {
  path: string;
  push(
    add: (line: number, row: { [column in keyof S]?: Cell }) => void,
    bad: BadRows,
    progress: Progress,
  ): Promise<void>;
}

/** Where rows lie in a file: a row a line, a row a CSV record (whose header is line 1), or rows that have no lines. */
export type LineFormat = 'lines' | 'csv' | 'tsv' | 'rows';

/** Reads JSON Lines: an object a line. Of several names the first counts that has a value. */
export function jsonLines<S extends Shape>(path: string, shape: S, names: Names<S>): QuerySource {
  const types: string[] = [];
  const columns = Object.entries(shape).map(([column, kind]) => {
    const fields = (names[column] ?? []).map(quotedName);
    types.push(...fields.map((field) => `${field}: '${kind === 'json' ? 'JSON' : 'VARCHAR'}'`));
    const values = fields.map((field) => (kind === 'json' ? field : `plain_value(${field})`));
    return `coalesce(${[...values, 'NULL']}) AS ${column}`;
  });
  const options = `format = 'newline_delimited', ignore_errors = true`;
  return {
    path,
    format: 'lines',
    query: `SELECT ${columns} FROM read_json(${quotedPath(path)}, ${options}, columns = {${types}})`,
    // A line that is no object gives a row without values.
    unreadable: `
      SELECT * FROM (
        SELECT row_number() OVER () - 1 AS place,
          CASE WHEN json IS NULL THEN 'broken JSON' WHEN NOT starts_with(ltrim(json), '{') THEN 'not a JSON object' END AS problem
        FROM read_ndjson_objects(${quotedPath(path)}, ignore_errors = true))
      WHERE problem IS NOT NULL`,
  };
}

export interface DelimitedOptions {
  header: readonly string[];
  /** Cells between tabs, never quoted; else between separators, and quoted where need be. */
  tabs?: boolean;
  separator?: string;
}

/**
 * Reads cells separated by commas or tabs; of several names the first counts that the header has. Rows of the wrong width
 * or with broken quotes are left out, and listed in the table `rejects`.
 */
export function delimited<S extends Shape>(
  path: string,
  shape: S,
  names: Names<S>,
  { header, tabs = false, separator = ',' }: DelimitedOptions,
): QuerySource {
  const columns = Object.entries(shape).map(([column, kind]) => {
    const found = findColumn(header, names[column] ?? []);
    const cell = kind === 'json' ? `${tabs ? 'tab' : 'json'}_cell(c${found})` : `coalesce(c${found}, '')`;
    return `${found < 0 ? 'NULL' : cell} AS ${column}`;
  });
  const types = header.map((_, i) => `c${i}: 'VARCHAR'`);
  const quotes = tabs
    ? "delim = '\t', quote = '', escape = ''"
    : `delim = '${separator}', quote = '"', escape = '"'`;
  return {
    path,
    format: tabs ? 'tsv' : 'csv',
    query: `
      SELECT ${columns}
      FROM read_csv(${quotedPath(path)}, auto_detect = false, header = false, skip = 1, ${quotes}, columns = {${types}},
        ignore_errors = true, store_rejects = true, rejects_table = 'rejects', rejects_scan = 'reject_scans')`,
  };
}

/** Reads Parquet; of several names the first counts that is a column. */
export function parquetRows<S extends Shape>(
  path: string,
  shape: S,
  names: Names<S>,
  fileColumns: readonly FileColumn[],
): QuerySource {
  const columns = Object.entries(shape).map(([column, kind]) => {
    const found = findColumn(
      fileColumns.map(({ name }) => name),
      names[column] ?? [],
    );
    if (found < 0) return `NULL AS ${column}`;
    const cell = quotedName(fileColumns[found].name);
    if (kind === 'json') return `nullif(to_json(${cell}), 'null') AS ${column}`;
    const value = /^(TIMESTAMP|DATE)/.test(fileColumns[found].type) ? `epoch_ms(${cell})` : cell;
    return `CAST(${value} AS VARCHAR) AS ${column}`;
  });
  return {
    path,
    format: 'rows',
    query: `SELECT ${columns} FROM read_parquet(${quotedPath(path)})`,
  };
}

/** SQL functions that the queries use, as macros of DuckDB. */
export const macros = `
  -- A list or an object is no plain value.
  CREATE MACRO plain_value(value) AS CASE WHEN NOT (starts_with(value, '{') OR starts_with(value, '[')) THEN value END;
  -- A cell that holds a JSON list of strings is that list, any other is a string.
  CREATE MACRO json_cell(cell) AS CASE
    WHEN (starts_with(cell, '["') OR cell = '[]') AND json_valid(cell) THEN cell
    ELSE CAST(to_json(cell) AS VARCHAR) END;
  -- Cells between tabs are never quoted: what a cell cannot hold as it is stands there as JSON.
  CREATE MACRO tab_cell(cell) AS CASE
    WHEN cell[1] IN ('"', '[', '{') AND json_valid(cell) THEN cell
    ELSE CAST(to_json(cell) AS VARCHAR) END;
  CREATE MACRO identifier(value) AS nullif(trim(value, E' \\t\\r\\n'), '');
  CREATE MACRO finite(value) AS CASE WHEN isfinite(value) THEN value END`;
