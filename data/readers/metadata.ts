import type { Progress } from '../../common/progress.ts';
import type { DataSettings } from '../settings.ts';
import type { BadRows, Interner, ItemTexts } from '../table.ts';
import { type ItemFields, itemText } from '../text.ts';
import { findColumn, readCsv, requireColumn } from './csv.ts';
import { fieldNames, identifier, isBrokenTag, itemFields, type JsonRecord, pick } from './fields.ts';
import { readJsonRecords } from './json.ts';

/** Reads item metadata (CSV, JSON, JSON Lines, gz or not) and makes the texts of the items that are wanted. */
export async function readMetadata(
  paths: readonly string[],
  wanted: Interner,
  settings: DataSettings,
  bad: BadRows,
  progress: Progress,
): Promise<ItemTexts> {
  const found: ItemTexts = { texts: new Map(), rows: 0, duplicates: 0, brokenTags: 0, complete: true };
  const seen = new Set<string>();
  const add = (file: string, place: number, id: unknown, item: ItemFields): void => {
    const key = identifier(id);
    if (!key) {
      bad.add(file, 'no item id', place);
      return;
    }
    if (seen.has(key)) {
      found.duplicates++;
      return;
    }
    seen.add(key);
    if (isBrokenTag(item.title)) {
      found.brokenTags++;
      item.title = undefined;
    }
    if (wanted.find(key) !== undefined) found.texts.set(key, itemText[settings.text](item));
  };
  for (const path of paths) {
    const read = /\.csv(\.gz)?$/.test(path) ? readCsvItems : readJsonItems;
    found.rows += await read(path, progress, bad, add);
  }
  return found;
}

type AddItem = (file: string, place: number, id: unknown, item: ItemFields) => void;

function readJsonItems(path: string, progress: Progress, bad: BadRows, add: AddItem): Promise<number> {
  return readJsonRecords(path, progress, bad, (record, place) =>
    add(path, place, pick(record, fieldNames.item), itemFields(record)),
  );
}

function readCsvItems(path: string, progress: Progress, bad: BadRows, add: AddItem): Promise<number> {
  return readCsv(path, progress, bad, (header) => {
    const id = requireColumn(header, fieldNames.item, path);
    const columns = (['title', 'features', 'categories', 'description'] as const)
      .map((name) => ({ name, column: findColumn(header, fieldNames[name]) }))
      .filter(({ column }) => column >= 0);
    return (cells, line) => {
      const record: JsonRecord = {};
      for (const { name, column } of columns) record[name] = listCell(cells[column]);
      add(path, line, cells[id], itemFields(record));
    };
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
