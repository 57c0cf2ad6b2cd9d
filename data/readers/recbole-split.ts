import { join } from 'node:path';
import { UsageError, UserError } from '../../common/errors.ts';
import { readJson } from '../../common/files.ts';
import type { Progress } from '../../common/progress.ts';
import type { DataSettings } from '../settings.ts';
import {
  type BadRows,
  HistoryBuilder,
  type HistoryRows,
  Interner,
  type SplitName,
  splitNames,
} from '../table.ts';
import { readAtomic, requireAtomic } from './atomic.ts';
import {
  type Folder,
  type HistoryReading,
  type ItemReading,
  type Layout,
  requireFile,
  severalDatasets,
} from './layout.ts';
import { forEachLine } from './lines.ts';
import { readItems } from './recbole.ts';
import type { itemShape, PushSource } from './source.ts';

/**
 * The official pre-split layout: `X.train.inter`, `X.valid.inter`, `X.test.inter` with the columns user_id:token,
 * item_id_list:token_seq, item_id:token, and beside them what numbers the items: `X.data_maps` (AmazonReviews2023's
 * code; the .inter files name items by their own ids, and row r - 1 of `X.*.feature` belongs to the item that the maps
 * number r, as 0 is [PAD]) or `X.item2index` (UniSRec's; the .inter files hold indices from 0).
 */
export async function detectRecboleSplit(folder: Folder): Promise<Layout | undefined> {
  const train = folder.files.filter((name) => /\.train\.inter$/.test(name));
  if (!train.length) return undefined;
  if (train.length > 1) throw severalDatasets(folder, train);
  const prefix = train[0].slice(0, -'.train.inter'.length);
  for (const split of splitNames) requireFile(folder, `${prefix}.${split}.inter`);
  const beside = (name: string): string | undefined =>
    folder.files.includes(name) ? join(folder.path, name) : undefined;
  const found: Found = {
    inter: splitNames.map((split) => join(folder.path, `${prefix}.${split}.inter`)),
    maps: beside(`${prefix}.data_maps`),
    index: beside(`${prefix}.item2index`),
    texts: beside(`${prefix}.text`) ?? beside(`${prefix}.item`),
  };
  const features = folder.files.filter((name) => name.startsWith(`${prefix}.`) && name.endsWith('.feature'));
  return {
    name: 'recbole-split',
    split: true,
    paths: [...found.inter, found.maps, found.index, found.texts].filter((path) => path !== undefined),
    featurePath: features.length ? join(folder.path, features[0]) : undefined,
    notes:
      features.length > 1
        ? [`of the feature files [${features.join(', ')}] the first is used unless another is named`]
        : [],
    read: (settings, bad, progress) => read(found, settings, bad, progress),
  };
}

interface Found {
  inter: string[];
  maps?: string;
  index?: string;
  texts?: string;
}

async function read(
  found: Found,
  settings: DataSettings,
  bad: BadRows,
  progress: Progress,
): Promise<HistoryReading> {
  if (settings.split !== 'auto' && settings.split !== 'files')
    throw new UsageError(
      `data.split=${settings.split} cannot be made from ${found.inter[0]}: its rows have no timestamps. Use data.split=files.`,
    );
  const numbering = await readNumbering(found, progress);
  const users = new Interner();
  const rows = {} as Record<SplitName, HistoryRows>;
  for (const [i, split] of splitNames.entries())
    rows[split] = await readHistories(found.inter[i], users, numbering, bad, progress);
  const { names } = numbering.items;
  return {
    path: found.inter[0],
    rows,
    names,
    userCount: users.names.length,
    candidates: numbering.closed ? Int32Array.from(names, (_, i) => i) : undefined,
    items: numbering.texts ?? (found.texts ? await readItems(found.texts, false) : undefined),
  };
}

/** How the item tokens of .inter files are numbered. */
interface Numbering {
  items: Interner;
  /** True where the list of items is given, so that a token outside of it is an error. */
  closed: boolean;
  texts?: ItemReading;
  /** The item's number, or undefined for a token that is not in the list. */
  resolve(token: string): number | undefined;
}

async function readNumbering(found: Found, progress: Progress): Promise<Numbering> {
  const items = new Interner();
  if (found.maps) return mapsNumbering(found.maps, items);
  if (found.index) return indexNumbering(found.index, items, progress);
  return { items, closed: false, resolve: (token) => items.id(token) };
}

async function mapsNumbering(path: string, items: Interner): Promise<Numbering> {
  const maps = await readJson<{ id2item?: unknown; id2meta?: Record<string, unknown> }>(path);
  if (!Array.isArray(maps?.id2item) || maps.id2item[0] !== '[PAD]')
    throw new UserError(`${path}: no list 'id2item' that begins with "[PAD]" was found in it.`);
  const names = maps.id2item.slice(1).map(String);
  for (const name of names) items.id(name);
  if (items.names.length !== names.length) throw new UserError(`${path}: 'id2item' names an item twice.`);
  const texts = new Map<string, string>();
  for (const [id, text] of Object.entries(maps.id2meta ?? {}))
    if (Number(id) > 0 && typeof text === 'string' && names[Number(id) - 1] !== undefined)
      texts.set(names[Number(id) - 1], text);
  return {
    items,
    closed: true,
    texts: texts.size ? { files: [readyTexts(path, texts)], complete: false } : undefined,
    resolve: (token) => items.find(token),
  };
}

/** Texts that are taken as they are. */
function readyTexts(path: string, texts: ReadonlyMap<string, string>): PushSource<typeof itemShape> {
  return {
    path,
    async push(add) {
      let place = 1;
      for (const [item_name, ready] of texts) add(place++, { item_name, ready: JSON.stringify(ready) });
    },
  };
}

async function indexNumbering(path: string, items: Interner, progress: Progress): Promise<Numbering> {
  const byIndex: string[] = [];
  await forEachLine(path, progress, (line, number) => {
    if (!line) return;
    const [name, index] = line.split('\t');
    const i = Number(index);
    if (!name || !index || !Number.isInteger(i) || i < 0 || byIndex[i] !== undefined)
      throw new UserError(`${path}: line ${number}: an item, a tab and an index of its own were expected.`);
    byIndex[i] = name;
  });
  for (let i = 0; i < byIndex.length; i++) {
    if (byIndex[i] === undefined) throw new UserError(`${path}: no item has index ${i}.`);
    if (items.id(byIndex[i]) !== i) throw new UserError(`${path}: item '${byIndex[i]}' is listed twice.`);
  }
  const resolve = (token: string): number | undefined => {
    const index = Number(token);
    return token.trim() && Number.isInteger(index) && index >= 0 && index < byIndex.length
      ? index
      : undefined;
  };
  return { items, closed: true, resolve };
}

async function readHistories(
  path: string,
  users: Interner,
  numbering: Numbering,
  bad: BadRows,
  progress: Progress,
): Promise<HistoryRows> {
  const builder = new HistoryBuilder();
  await readAtomic(path, progress, bad, (columns) => {
    const user = requireAtomic(columns, 'user_id', 'token', path);
    const list = requireAtomic(columns, 'item_id_list', 'token_seq', path);
    const target = requireAtomic(columns, 'item_id', 'token', path);
    return (cells, line) => {
      if (!cells[user].trim()) return bad.add(path, 'no user id', line);
      if (!cells[target].trim()) return bad.add(path, 'no item id', line);
      const item = numbering.resolve(cells[target].trim());
      const history = cells[list]
        .split(' ')
        .filter(Boolean)
        .map((token) => numbering.resolve(token));
      if (item === undefined || history.includes(undefined))
        return bad.add(path, "an item is not in the source's own list of items", line);
      builder.add(users.id(cells[user].trim()), item, history as number[]);
    };
  });
  return builder.rows();
}
