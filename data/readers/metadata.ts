import { parquetColumns } from '../database.ts';
import { csvHeader, requireColumn } from './csv.ts';
import { fieldNames, identifier, itemFields, pick } from './fields.ts';
import { jsonHead, readJsonRecords } from './json.ts';
import type { ItemReading } from './layout.ts';
import { delimited, itemShape, jsonLines, parquetRows, type RowSource } from './source.ts';

export const itemNames = {
  item_name: fieldNames.item,
  title: fieldNames.title,
  features: fieldNames.features,
  categories: fieldNames.categories,
  description: fieldNames.description,
  ready: fieldNames.ready,
} as const;

/** How to read item metadata (CSV, JSON, JSON Lines, Parquet); undefined where there are no files. */
export async function readMetadata(paths: readonly string[]): Promise<ItemReading | undefined> {
  if (!paths.length) return undefined;
  return { files: await Promise.all(paths.map(metadataFile)), complete: true };
}

async function metadataFile(path: string): Promise<RowSource<typeof itemShape>> {
  if (/\.parquet$/.test(path)) return parquetRows(path, itemShape, itemNames, await parquetColumns(path));
  if (/\.csv(\.gz)?$/.test(path)) {
    const header = await csvHeader(path);
    requireColumn(header, fieldNames.item, path);
    return delimited(path, itemShape, itemNames, { header });
  }
  return (await jsonHead(path)).plainLines ? jsonLines(path, itemShape, itemNames) : jsonItems(path);
}

/** A JSON array of items. */
function jsonItems(path: string): RowSource<typeof itemShape> {
  return {
    path,
    async push(add, bad, progress) {
      await readJsonRecords(path, progress, bad, (record, place) => {
        const { title, features, categories, description } = itemFields(record);
        const json = (value: unknown) => (value === undefined ? null : JSON.stringify(value));
        add(place, {
          item_name: identifier(pick(record, fieldNames.item)),
          title: json(title),
          features: json(features),
          categories: json(categories),
          description: json(description),
          ready: json(pick(record, fieldNames.ready)),
        });
      });
    },
  };
}
