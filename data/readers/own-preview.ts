import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Progress } from '../../common/progress.ts';
import { Database } from '../database.ts';
import { BadRows } from '../table.ts';
import { recommendationText } from '../text.ts';
import { instantOf, type TimeFormat } from './own-times.ts';
import { type interactionShape, type itemShape, macros, type RowSource, type Shape } from './source.ts';

/** Rows that are looked at to understand a file, and of these, rows that are shown. */
const LOOKED_AT = 1000;
const SHOWN = 3;

type Row<S extends Shape> = { [column in keyof S]: unknown };

/** The first rows of a file. */
export async function firstRows<S extends Shape>(source: RowSource<S>, shape: S): Promise<Row<S>[]> {
  const columns = Object.keys(shape);
  if ('push' in source) {
    const rows: Row<S>[] = [];
    const add = (_: number, row: object) => void (rows.length < LOOKED_AT && rows.push(row as Row<S>));
    await source.push(add, new BadRows(), new Progress());
    return rows;
  }
  const options = {
    memoryGB: 0.5,
    spillFolder: join(tmpdir(), `rec-${process.pid}-preview`),
    progress: new Progress(),
  };
  return Database.with(options, async (database) => {
    await database.run(macros);
    const rows = await database.rows(`SELECT ${columns} FROM (${source.query}) LIMIT ${LOOKED_AT}`);
    return rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]])) as Row<S>);
  });
}

/** "my.csv, times in seconds:\n  user u1, item A1, 2021-08-11T00:50:43.000Z (1628643043), rating 5". */
export function reviewsAsText(
  path: string,
  rows: readonly Row<typeof interactionShape>[],
  format: TimeFormat,
): string {
  const lines = rows.slice(0, SHOWN).map(({ user_name, item_name, time, rating }) => {
    const instant = new Date(instantOf(time, format));
    const when = Number.isNaN(instant.getTime()) ? 'no time' : instant.toISOString();
    return `  user ${user_name}, item ${item_name}, ${when} (${time})${rating === null || rating === undefined ? '' : `, rating ${rating}`}`;
  });
  const unit = format === 'dates' ? 'as dates' : `in ${format} since 1970`;
  return [`${path} is understood as reviews, times ${unit}; its first rows:`, ...lines].join('\n');
}

/** "my.jsonl is understood as items; its first rows:\n  item A1: Red shoe". */
export function itemsAsText(path: string, rows: readonly Row<typeof itemShape>[]): string {
  const parsed = (json: unknown) => (typeof json === 'string' ? JSON.parse(json) : undefined);
  const lines = rows.slice(0, SHOWN).map(({ item_name, title, features, categories, description }) => {
    const text = recommendationText({
      title: parsed(title),
      features: parsed(features),
      categories: parsed(categories),
      description: parsed(description),
    }).trim();
    return `  item ${item_name}: ${text.length > 100 ? `${text.slice(0, 97)}...` : text || '(no text)'}`;
  });
  return [`${path} is understood as items; its first rows:`, ...lines].join('\n');
}
