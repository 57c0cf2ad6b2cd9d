import { join } from 'node:path';
import { csvHeader, readCsv, requireColumn } from '../../data/readers/csv.ts';
import { readJsonRecords } from '../../data/readers/json.ts';
import type { Folder } from '../../data/readers/layout.ts';
import { readHead } from '../../data/readers/lines.ts';
import type { Query } from '../task.ts';
import { itemId, type Reading, type TaskSource } from './source.ts';

/**
 * The files of Amazon-C4, and of ESCI as the paper's authors processed it: a CSV of queries (`qid`, `query`, `item_id`) and
 * a pool in JSON Lines (`item_id` or `item`, `category`, `metadata`).
 */
export function official(queries: string, pool: string): TaskSource {
  return {
    layout: 'queries CSV and pool JSON Lines',
    paths: [queries, pool],
    drawn: false,
    gains: () => ({ relevant: 1 }),
    async read(reading) {
      await readPool(pool, reading);
      await readQueries(queries, reading);
    },
  };
}

/** Recognises the two files among those of a folder. */
export async function detectOfficial({ path, files }: Folder): Promise<TaskSource | undefined> {
  let queries: string | undefined;
  let pool: string | undefined;
  for (const name of files) {
    const file = join(path, name);
    if (/\.csv(\.gz)?$/.test(file)) {
      const header = await csvHeader(file);
      if (header.includes('query') && header.includes('item_id')) queries ??= file;
    } else if (/\.jsonl(\.gz)?$/.test(file)) {
      const first = (await readHead(file)).split('\n', 1)[0];
      if (/"metadata"\s*:/.test(first) && /"item(_id)?"\s*:/.test(first)) pool ??= file;
    }
  }
  return queries && pool ? official(queries, pool) : undefined;
}

/** The first of items with the same id counts. */
async function readPool(path: string, { writer, bad, progress }: Reading): Promise<void> {
  await readJsonRecords(path, progress, bad, (record, line) => {
    const id = itemId(record.item_id ?? record.item);
    const text = record.metadata;
    if (id === undefined) bad.add(path, 'no item id, or one with white space', line);
    else if (writer.items.find(id) !== undefined) bad.add(path, 'an item id that was there before', line);
    else if (typeof text !== 'string') bad.add(path, 'no metadata', line);
    else writer.item(id, text, typeof record.category === 'string' ? record.category : '');
  });
}

/** Rows of one query id are one query with several relevant items. */
async function readQueries(path: string, { writer, bad, progress }: Reading): Promise<void> {
  const queries = new Map<string, Query>();
  await readCsv(path, progress, bad, (header) => {
    const [qid, query, item] = ['qid', 'query', 'item_id'].map((name) => requireColumn(header, [name], path));
    return (cells, line) => {
      const id = itemId(cells[qid]);
      const relevant = itemId(cells[item]);
      const text = cells[query].trim();
      if (id === undefined) return bad.add(path, 'no query id, or one with white space', line);
      if (relevant === undefined) return bad.add(path, 'no item id, or one with white space', line);
      const known = queries.get(id);
      if (!known) queries.set(id, { id, text, relevant: [{ item: relevant, grade: 1 }] });
      else if (known.text !== text)
        bad.add(path, 'a query id that was there before, with another text', line);
      else if (known.relevant.some((one) => one.item === relevant))
        bad.add(path, 'a row that repeats another', line);
      else known.relevant.push({ item: relevant, grade: 1 });
    };
  });
  for (const query of queries.values()) writer.query(query);
}
