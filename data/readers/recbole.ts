import { join } from 'node:path';
import type { Progress } from '../../common/progress.ts';
import type { DataSettings } from '../settings.ts';
import type { BadRows, Interner, ItemTexts } from '../table.ts';
import { cleanText, type ItemFields, itemText } from '../text.ts';
import { InteractionBuilder } from './amazon-interactions.ts';
import { type AtomicColumn, readAtomic, requireAtomic } from './atomic.ts';
import { fieldNames } from './fields.ts';
import { type Folder, type Layout, severalDatasets } from './layout.ts';

/** RecBole atomic files: `X.inter` with user_id, item_id, timestamp, and `X.item` where there is one. */
export async function detectRecbole(folder: Folder): Promise<Layout | undefined> {
  const inter = folder.files.filter((name) => /\.inter$/.test(name));
  if (!inter.length) return undefined;
  if (inter.length > 1) throw severalDatasets(folder, inter);
  const path = join(folder.path, inter[0]);
  const item = inter[0].replace(/\.inter$/, '.item');
  const itemPath = folder.files.includes(item) ? join(folder.path, item) : undefined;
  return {
    name: 'recbole',
    split: false,
    paths: itemPath ? [path, itemPath] : [path],
    async read(settings, bad, progress) {
      const builder = new InteractionBuilder();
      await readInter(path, builder, bad, progress);
      const { users, items } = builder;
      const badRows = bad.total;
      const texts = itemPath ? await readItems(itemPath, items, settings, bad, progress) : undefined;
      return { users, items, interactions: builder.interactions(), texts, badRows };
    },
  };
}

async function readInter(path: string, builder: InteractionBuilder, bad: BadRows, progress: Progress) {
  await readAtomic(path, progress, bad, (columns) => {
    const user = requireAtomic(columns, 'user_id', 'token', path);
    const item = requireAtomic(columns, 'item_id', 'token', path);
    const time = requireAtomic(columns, 'timestamp', 'float', path);
    const rating = columns.findIndex(({ name, type }) => name === 'rating' && type === 'float');
    return (cells, line) =>
      builder.add(path, line, bad, {
        user: cells[user],
        item: cells[item],
        time: cells[time],
        rating: cells[rating],
      });
  });
}

/**
 * Reads item texts of an atomic file: the fields that PAPER's texts are made of where there are some, else all
 * `token_seq` columns in the file's order.
 */
export async function readItems(
  path: string,
  wanted: Interner,
  settings: DataSettings,
  bad: BadRows,
  progress: Progress,
): Promise<ItemTexts> {
  const found: ItemTexts = { texts: new Map(), rows: 0, duplicates: 0, brokenTags: 0, complete: true };
  await readAtomic(path, progress, bad, (columns) => {
    const id = requireAtomic(columns, 'item_id', 'token', path);
    const text = textOf(columns, settings);
    return (cells, line) => {
      found.rows++;
      const key = cells[id].trim();
      if (!key) bad.add(path, 'no item id', line);
      else if (found.texts.has(key)) found.duplicates++;
      else if (wanted.find(key) !== undefined) found.texts.set(key, text(cells));
    };
  });
  return found;
}

function textOf(columns: readonly AtomicColumn[], settings: DataSettings) {
  const textual = (['title', 'features', 'categories', 'description'] as const)
    .map((field) => ({
      field,
      column: columns.findIndex(({ name }) => (fieldNames[field] as readonly string[]).includes(name)),
    }))
    .filter(({ column }) => column >= 0);
  if (textual.length)
    return (cells: readonly string[]): string => {
      const item: ItemFields = {};
      for (const { field, column } of textual) item[field] = cells[column];
      return itemText[settings.text](item);
    };
  const sequences = columns.flatMap(({ type }, i) => (type === 'token_seq' ? [i] : []));
  return (cells: readonly string[]): string =>
    cleanText(
      sequences
        .map((i) => cells[i].trim())
        .filter(Boolean)
        .join(' '),
    );
}
