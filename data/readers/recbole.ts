import { join } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { cleanText } from '../text.ts';
import { type AtomicColumn, parseHeader, readAtomic, requireAtomic } from './atomic.ts';
import { findColumn } from './csv.ts';
import { fieldNames } from './fields.ts';
import { type Folder, type ItemReading, type Layout, severalDatasets } from './layout.ts';
import { readHead } from './lines.ts';
import { itemNames } from './metadata.ts';
import { delimited, interactionShape, itemShape, type PushSource, type RowSource } from './source.ts';

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
    async read() {
      const items = itemPath ? await readItems(itemPath, true) : undefined;
      return { interactions: [{ source: await interRows(path) }], items };
    },
  };
}

async function interRows(path: string): Promise<RowSource<typeof interactionShape>> {
  const columns = await atomicHeader(path);
  requireAtomic(columns, 'user_id', 'token', path);
  requireAtomic(columns, 'item_id', 'token', path);
  requireAtomic(columns, 'timestamp', 'float', path);
  const rating = columns.some(({ name, type }) => name === 'rating' && type === 'float');
  const names = {
    user_name: ['user_id'],
    item_name: ['item_id'],
    time: ['timestamp'],
    ...(rating && { rating: ['rating'] }),
  };
  return delimited(path, interactionShape, names, { header: columns.map(({ name }) => name), tabs: true });
}

async function atomicHeader(path: string): Promise<AtomicColumn[]> {
  const line = (await readHead(path)).split(/\r?\n/, 1)[0];
  if (!line)
    throw new UserError(`${path}: the file is empty; a header such as 'user_id:token' was expected.`);
  return parseHeader(line, path);
}

/**
 * How to read item texts of an atomic file: the fields that the paper's texts are made of where there are some, else all
 * `token_seq` columns in the file's order.
 */
export async function readItems(path: string, complete: boolean): Promise<ItemReading> {
  const columns = await atomicHeader(path);
  requireAtomic(columns, 'item_id', 'token', path);
  const header = columns.map(({ name }) => name);
  const textual = (['title', 'features', 'categories', 'description', 'ready'] as const).some(
    (field) => findColumn(header, fieldNames[field]) >= 0,
  );
  const names = { ...itemNames, item_name: ['item_id'] };
  const file = textual ? delimited(path, itemShape, names, { header, tabs: true }) : sequenceTexts(path);
  return { files: [file], complete };
}

/** Items whose text is that of all columns of words. */
function sequenceTexts(path: string): PushSource<typeof itemShape> {
  return {
    path,
    async push(add, bad, progress) {
      await readAtomic(path, progress, bad, (columns) => {
        const id = requireAtomic(columns, 'item_id', 'token', path);
        const sequences = columns.flatMap(({ type }, i) => (type === 'token_seq' ? [i] : []));
        return (cells, line) => {
          const words = sequences.map((i) => cells[i].trim()).filter(Boolean);
          add(line, { item_name: cells[id], ready: JSON.stringify(cleanText(words.join(' '))) });
        };
      });
    },
  };
}
