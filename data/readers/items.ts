import type { Progress } from '../../common/progress.ts';
import type { BadRows } from '../table.ts';
import type { ItemFields } from '../text.ts';
import { findColumn, readCsv, requireColumn } from './csv.ts';
import { fieldNames, identifier, isBrokenTag, itemFields, type JsonRecord, pick } from './fields.ts';
import { readJsonRecords } from './json.ts';

/**
 * Calls `use` for every item of a file of metadata (CSV, JSON or JSON Lines, gz or not), a title that is only the start of
 * a tag counting as missing. Rows without an item id are counted as bad.
 */
export async function forEachItem(
  path: string,
  progress: Progress,
  bad: BadRows,
  use: (id: string, item: ItemFields) => void,
): Promise<void> {
  const take = (record: JsonRecord, place: number) => {
    const id = identifier(pick(record, fieldNames.item));
    if (!id) return bad.add(path, 'no item id', place);
    const item = itemFields(record);
    use(id, isBrokenTag(item.title) ? { ...item, title: undefined } : item);
  };
  if (!/\.csv(\.gz)?$/.test(path)) {
    await readJsonRecords(path, progress, bad, take);
    return;
  }
  await readCsv(path, progress, bad, (header) => {
    const { item, title, features, categories, description } = fieldNames;
    requireColumn(header, item, path);
    const columns = [item, title, features, categories, description]
      .map((names) => findColumn(header, names))
      .filter((column) => column >= 0);
    return (cells, line) =>
      take(Object.fromEntries(columns.map((column) => [header[column], listCell(cells[column])])), line);
  });
}

/** A CSV cell that holds a JSON list of strings as that list, any other as it is. */
function listCell(cell: string): unknown {
  if (!cell.startsWith('["') && cell !== '[]') return cell;
  try {
    const value: unknown = JSON.parse(cell);
    return Array.isArray(value) ? value : cell;
  } catch {
    return cell;
  }
}
