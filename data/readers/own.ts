import { basename } from 'node:path';
import { nearest, UsageError, UserError } from '../../common/errors.ts';
import { type Cell, parquetColumns } from '../database.ts';
import { type Meaning, namesOf, type OwnFiles } from '../own-columns.ts';
import { csvHeader, findColumn } from './csv.ts';
import { type JsonRecord, pick } from './fields.ts';
import { jsonHead, readJsonRecords } from './json.ts';
import type { Layout } from './layout.ts';
import { readHead } from './lines.ts';
import { firstRows, itemsAsText, reviewsAsText } from './own-preview.ts';
import { inMilliseconds, timeFormat } from './own-times.ts';
import {
  delimited,
  interactionShape,
  itemShape,
  jsonLines,
  type Names,
  parquetRows,
  type RowSource,
  type Shape,
} from './source.ts';

const fields = ['title', 'features', 'categories', 'description'] as const;

/**
 * Reads a user's own files, by the columns that are named, or by the names of Amazon's columns; how the first rows are
 * understood is said in notes.
 * @throws UserError naming the columns there are, where one is missing or holds no times
 */
export async function ownLayout({ reviews, items, columns }: OwnFiles): Promise<Layout> {
  const rows = await reviewRows(reviews, columns);
  const first = await firstRows(rows, interactionShape);
  const format = timeFormat(
    reviews,
    first.map(({ time }) => time),
  );
  const notes = [reviewsAsText(reviews, first, format)];
  const described = items === undefined ? undefined : await itemRows(items, columns);
  if (items !== undefined && described) notes.push(itemsAsText(items, await firstRows(described, itemShape)));
  return {
    name: 'own',
    split: false,
    paths: items === undefined ? [reviews] : [reviews, items],
    identity: columns,
    notes,
    async read() {
      return {
        interactions: [{ source: inMilliseconds(rows, format) }],
        ...(described && { items: { files: [described], complete: true } }),
      };
    },
  };
}

async function reviewRows(path: string, columns: OwnFiles['columns']) {
  const there = await columnsOf(path);
  const need = (meaning: 'user' | 'item' | 'time') =>
    requireAny(path, there, meaning, namesOf(columns, meaning));
  return rowSource(path, there, interactionShape, {
    user_name: need('user'),
    item_name: need('item'),
    time: need('time'),
    rating: columns.rating ? requireAny(path, there, 'rating', [columns.rating]) : namesOf(columns, 'rating'),
  });
}

async function itemRows(path: string, columns: OwnFiles['columns']): Promise<RowSource<typeof itemShape>> {
  const there = await columnsOf(path);
  const item = requireAny(path, there, 'item', [...namesOf(columns, 'item'), 'item_id', 'id']);
  if (columns.text !== undefined) return joinedText(path, there, item, columns.text.split('+'));
  for (const field of fields) if (columns[field]) requireAny(path, there, field, [columns[field]]);
  if (!fields.some((field) => namesOf(columns, field).some((name) => there.includes(name))))
    throw missing(path, there, 'text', ['title']);
  const [title, features, categories, description] = fields.map((field) => namesOf(columns, field));
  return rowSource(path, there, itemShape, { item_name: item, title, features, categories, description });
}

/** Items whose title is what all the columns hold, one after the other; lists are joined by commas. */
async function joinedText(
  path: string,
  there: readonly string[],
  item: readonly string[],
  texts: readonly string[],
): Promise<RowSource<typeof itemShape>> {
  const shape: Shape = { item_name: 'text' };
  const names: Record<string, readonly string[]> = { item_name: item };
  texts.forEach((name, i) => {
    shape[`text${i}`] = 'json';
    names[`text${i}`] = requireAny(path, there, 'text', [name]);
  });
  const source = await rowSource(path, there, shape, names);
  if ('push' in source)
    return {
      path,
      push: (add, bad, progress) =>
        source.push(
          (line, { item_name, ...parts }) => {
            const words = Object.values(parts).flatMap((part) => wordsOf(part));
            add(line, { item_name, title: JSON.stringify(words.join(' ')) });
          },
          bad,
          progress,
        ),
    };
  const parts = texts.map((_, i) => {
    const part = `text${i}`;
    return `CASE json_type(${part}) WHEN 'ARRAY' THEN array_to_string(json_extract_string(${part}, '$[*]'), ', ')
      ELSE json_extract_string(${part}, '$') END`;
  });
  const empty = ['features', 'categories', 'description', 'ready'].map((field) => `NULL AS ${field}`);
  return {
    ...source,
    query: `SELECT item_name, CAST(to_json(concat_ws(' ', ${parts})) AS VARCHAR) AS title, ${empty} FROM (${source.query})`,
  };
}

function wordsOf(json: unknown): string[] {
  const value: unknown = typeof json === 'string' ? JSON.parse(json) : null;
  if (value === null) return [];
  return [Array.isArray(value) ? value.join(', ') : String(value)];
}

/** The columns of a file, by its format. */
async function columnsOf(path: string): Promise<string[]> {
  if (/\.parquet$/.test(path)) return (await parquetColumns(path)).map(({ name }) => name);
  if (/\.(csv|tsv)(\.gz)?$/.test(path)) {
    const separator = await separatorOf(path);
    const header =
      separator === ',' ? await csvHeader(path) : (await headerLine(path)).split(separator).map(unquoted);
    if (!header.length) throw new UserError(`${path}: the file is empty; a header line was expected.`);
    return header;
  }
  if (/\.(jsonl?|ndjson)(\.gz)?$/.test(path)) {
    const { first } = await jsonHead(path);
    if (!first) throw new UserError(`${path}: does not begin with a JSON object.`);
    return Object.keys(first);
  }
  throw new UsageError(
    `${path}: '${basename(path)}' is neither .csv, .tsv, .json, .jsonl, .ndjson (or one of these with .gz) nor .parquet.`,
  );
}

const headerLine = async (path: string) => (await readHead(path, 1 << 16)).split(/\r?\n/, 1)[0];
const unquoted = (name: string) => name.replace(/^"|"$/g, '');

/** What separates the cells: of the usual ones that which the header has most of. */
async function separatorOf(path: string): Promise<string> {
  if (/\.tsv(\.gz)?$/.test(path)) return '\t';
  const header = await headerLine(path);
  const counts = [',', ';', '\t', '|'].map((separator) => ({ separator, n: header.split(separator).length }));
  return counts.reduce((most, one) => (one.n > most.n ? one : most)).separator;
}

async function rowSource<S extends Shape>(
  path: string,
  there: readonly string[],
  shape: S,
  names: Names<S>,
): Promise<RowSource<S>> {
  if (/\.parquet$/.test(path)) return parquetRows(path, shape, names, await parquetColumns(path));
  if (/\.(csv|tsv)(\.gz)?$/.test(path)) {
    const separator = await separatorOf(path);
    return delimited(path, shape, names, { header: there, separator, tabs: /\.tsv(\.gz)?$/.test(path) });
  }
  if ((await jsonHead(path)).plainLines) return jsonLines(path, shape, names);
  return {
    path,
    async push(add, bad, progress) {
      await readJsonRecords(path, progress, bad, (record, place) =>
        add(place, cellsOf(record, shape, names)),
      );
    },
  };
}

/** A record of a JSON list as the columns of a shape. */
function cellsOf<S extends Shape>(
  record: JsonRecord,
  shape: S,
  names: Names<S>,
): { [column in keyof S]?: Cell } {
  const cells: Record<string, Cell> = {};
  for (const [column, kind] of Object.entries(shape)) {
    const value = pick(record, names[column] ?? []);
    if (kind === 'json') cells[column] = value === undefined ? null : JSON.stringify(value);
    else cells[column] = typeof value === 'string' || typeof value === 'number' ? String(value) : null;
  }
  return cells as { [column in keyof S]?: Cell };
}

/** @throws UserError where a file has none of the names */
function requireAny(
  path: string,
  there: readonly string[],
  meaning: Meaning,
  names: readonly string[],
): readonly string[] {
  if (findColumn(there, names) >= 0) return names;
  throw missing(path, there, meaning, names);
}

function missing(
  path: string,
  there: readonly string[],
  meaning: Meaning,
  names: readonly string[],
): UserError {
  const hint = nearest(names[0], there);
  return new UserError(
    `${path}: no column '${names.join("' or '")}' for ${meaning}${hint ? ` (did you mean '${hint}'?)` : ''}; name one with --columns ${meaning}=... of [${there.join(', ')}].`,
  );
}
