import { join } from 'node:path';
import type { Progress } from '../../common/progress.ts';
import type { DataSettings } from '../settings.ts';
import {
  type BadRows,
  HistoryBuilder,
  type HistoryRows,
  Interner,
  type ItemTexts,
  type Reading,
  type SplitName,
  splitNames,
} from '../table.ts';
import { itemText } from '../text.ts';
import {
  InteractionBuilder,
  problemOf,
  readInteractionCsv,
  readInteractionFile,
} from './amazon-interactions.ts';
import { csvHeader, findColumn, readCsv, requireColumn } from './csv.ts';
import { fieldNames } from './fields.ts';
import { jsonKind } from './json.ts';
import { type Folder, type Layout, requireFile, severalDatasets } from './layout.ts';
import { readMetadata } from './metadata.ts';

export type SplitPaths = Record<SplitName, string>;

/** `X.train.csv`, `X.valid.csv`, `X.test.csv` of the Amazon Reviews 2023 benchmark, with or without histories. */
export async function detectAmazonSplit(folder: Folder): Promise<Layout | undefined> {
  const train = folder.files.filter((name) => /\.train\.csv(\.gz)?$/.test(name));
  if (!train.length) return undefined;
  if (train.length > 1) throw severalDatasets(folder, train);
  const paths = Object.fromEntries(
    splitNames.map((split) => [split, join(folder.path, train[0].replace('.train.csv', `.${split}.csv`))]),
  ) as SplitPaths;
  for (const split of splitNames) requireFile(folder, train[0].replace('.train.csv', `.${split}.csv`));
  const { metadata, reviews } = await sortFiles(folder, Object.values(paths));
  return amazonSplit(paths, metadata, notesOnIgnored(reviews));
}

/** One or more files of interactions: the benchmark's `rating_only` CSV, or reviews in JSON. */
export async function detectAmazon(folder: Folder): Promise<Layout | undefined> {
  const { ratings, reviews, metadata } = await sortFiles(folder, []);
  if (ratings.length > 1) throw severalDatasets(folder, ratings);
  if (ratings.length) return amazon(ratings, metadata, notesOnIgnored(reviews));
  return reviews.length ? amazon(reviews, metadata) : undefined;
}

async function sortFiles(folder: Folder, taken: readonly string[]) {
  const sorted = { ratings: [] as string[], reviews: [] as string[], metadata: [] as string[] };
  for (const name of folder.files) {
    const path = join(folder.path, name);
    if (taken.includes(path)) continue;
    if (/\.csv(\.gz)?$/.test(name)) {
      const header = await csvHeader(path);
      const has = (names: readonly string[]): boolean => findColumn(header, names) >= 0;
      if (has(fieldNames.user)) sorted.ratings.push(path);
      else if (has(fieldNames.item)) sorted.metadata.push(path);
    } else if (/\.jsonl?(\.gz)?$/.test(name)) {
      const kind = await jsonKind(path);
      if (kind) sorted[kind].push(path);
    }
  }
  return sorted;
}

function notesOnIgnored(reviews: readonly string[]): string[] {
  return reviews.map((path) => `${path} is not read: the CSV files hold the interactions`);
}

/** Reads files that are split already, or merges them where the settings ask for another split. */
export function amazonSplit(paths: SplitPaths, metadata: readonly string[], notes: string[] = []): Layout {
  return {
    name: 'amazon-split',
    split: true,
    paths: [...splitNames.map((split) => paths[split]), ...metadata],
    notes,
    async read(settings, bad, progress) {
      const header = await csvHeader(paths.train);
      if (settings.split === 'auto' || settings.split === 'files') {
        if (findColumn(header, fieldNames.history) >= 0)
          return readHistories(paths, metadata, settings, bad, progress);
      }
      const builder = new InteractionBuilder();
      for (const [number, split] of splitNames.entries())
        await readInteractionCsv(paths[split], builder, bad, progress, number);
      return finish(builder, metadata, settings, bad, progress);
    },
  };
}

/** Reads interactions that are not split. */
export function amazon(
  interactions: readonly string[],
  metadata: readonly string[],
  notes?: string[],
): Layout {
  const csv = interactions.every((path) => /\.csv(\.gz)?$/.test(path));
  return {
    name: csv ? 'amazon-ratings' : 'amazon-reviews',
    split: false,
    paths: [...interactions, ...metadata],
    notes,
    async read(settings, bad, progress) {
      const builder = new InteractionBuilder();
      for (const path of interactions) await readInteractionFile(path, builder, bad, progress);
      return finish(builder, metadata, settings, bad, progress);
    },
  };
}

async function finish(
  builder: InteractionBuilder,
  metadata: readonly string[],
  settings: DataSettings,
  bad: BadRows,
  progress: Progress,
): Promise<Reading> {
  const { users, items } = builder;
  const badRows = bad.total;
  const texts = metadata.length
    ? await readMetadata(metadata, items, settings, bad, progress)
    : embeddedTexts(builder, settings);
  return { users, items, interactions: builder.interactions(), texts, badRows };
}

function embeddedTexts(builder: InteractionBuilder, settings: DataSettings): ItemTexts | undefined {
  if (!builder.embedded.size) return undefined;
  const texts = new Map([...builder.embedded].map(([id, item]) => [id, itemText[settings.text](item)]));
  return { texts, rows: texts.size, duplicates: 0, brokenTags: 0, complete: false };
}

async function readHistories(
  paths: SplitPaths,
  metadata: readonly string[],
  settings: DataSettings,
  bad: BadRows,
  progress: Progress,
): Promise<Reading> {
  const users = new Interner();
  const items = new Interner();
  const rows = {} as Record<SplitName, HistoryRows>;
  for (const split of splitNames)
    rows[split] = await readHistoryCsv(paths[split], users, items, bad, progress);
  const badRows = bad.total;
  const texts = metadata.length ? await readMetadata(metadata, items, settings, bad, progress) : undefined;
  return { users, items, rows, texts, badRows };
}

/** Reads `user_id,parent_asin,rating,timestamp,history`, the history being items separated by spaces, oldest first. */
async function readHistoryCsv(
  path: string,
  users: Interner,
  items: Interner,
  bad: BadRows,
  progress: Progress,
): Promise<HistoryRows> {
  const builder = new HistoryBuilder();
  await readCsv(path, progress, bad, (header) => {
    const user = requireColumn(header, fieldNames.user, path);
    const item = requireColumn(header, fieldNames.item, path);
    const history = requireColumn(header, fieldNames.history, path);
    const time = findColumn(header, fieldNames.time);
    const rating = findColumn(header, fieldNames.rating);
    return (cells, line) => {
      const row = { user: cells[user], item: cells[item], time: cells[time] ?? 0, rating: cells[rating] };
      const problem = problemOf(row);
      if (problem) return bad.add(path, problem, line);
      const earlier = cells[history].split(' ').filter(Boolean);
      builder.add(
        users.id(row.user.trim()),
        items.id(row.item.trim()),
        earlier.map((name) => items.id(name)),
      );
    };
  });
  return builder.rows();
}
