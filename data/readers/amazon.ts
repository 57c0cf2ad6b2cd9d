import { join } from 'node:path';
import type { Progress } from '../../common/progress.ts';
import { parquetColumns } from '../database.ts';
import {
  type BadRows,
  HistoryBuilder,
  type HistoryRows,
  Interner,
  type SplitName,
  splitNames,
} from '../table.ts';
import { ratingsCsv, reviewFile } from './amazon-interactions.ts';
import { csvHeader, findColumn, numberOf, readCsv, requireColumn } from './csv.ts';
import { fieldNames, identifier } from './fields.ts';
import { fieldsKind, jsonKind } from './json.ts';
import { type Folder, type HistoryReading, type Layout, requireFile, severalDatasets } from './layout.ts';
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

/** What the files of a folder hold, by their headers and first records; those in `taken` are left out. */
export async function sortFiles(folder: Folder, taken: readonly string[]) {
  const sorted = { ratings: [] as string[], reviews: [] as string[], metadata: [] as string[] };
  for (const name of folder.files) {
    const path = join(folder.path, name);
    if (taken.includes(path)) continue;
    const kind = await kindOf(path);
    if (kind === 'reviews' && /\.csv(\.gz)?$/.test(name)) sorted.ratings.push(path);
    else if (kind) sorted[kind].push(path);
  }
  return sorted;
}

async function kindOf(path: string): Promise<'reviews' | 'metadata' | undefined> {
  if (/\.csv(\.gz)?$/.test(path)) return fieldsKind(await csvHeader(path));
  if (/\.jsonl?(\.gz)?$/.test(path)) return jsonKind(path);
  if (/\.parquet$/.test(path)) return fieldsKind((await parquetColumns(path)).map(({ name }) => name));
  return undefined;
}

function notesOnIgnored(reviews: readonly string[]): string[] {
  return reviews.map((path) => `${path} is not read: the CSV files hold the interactions`);
}

/** Reads files that are split already, or merges them where the settings ask for another split. */
export function amazonSplit(paths: SplitPaths, metadata: readonly string[], notes: string[] = []): Layout {
  const readInteractions = async () => ({
    interactions: await Promise.all(
      splitNames.map(async (name, split) => ({ source: await ratingsCsv(paths[name]), split })),
    ),
    items: await readMetadata(metadata),
  });
  return {
    name: 'amazon-split',
    split: true,
    paths: [...splitNames.map((split) => paths[split]), ...metadata],
    notes,
    async read(settings, bad, progress) {
      const asSplit = settings.split === 'auto' || settings.split === 'files';
      if (asSplit && findColumn(await csvHeader(paths.train), fieldNames.history) >= 0)
        return { ...(await readHistories(paths, bad, progress)), items: await readMetadata(metadata) };
      return readInteractions();
    },
    readInteractions,
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
    async read() {
      const files = await Promise.all(interactions.map(reviewFile));
      const products = files.flatMap((file) => file.products ?? []);
      return {
        interactions: files.map(({ reviews }) => ({ source: reviews })),
        items:
          (await readMetadata(metadata)) ??
          (products.length ? { files: products, complete: false } : undefined),
      };
    },
  };
}

async function readHistories(paths: SplitPaths, bad: BadRows, progress: Progress): Promise<HistoryReading> {
  const users = new Interner();
  const items = new Interner();
  const rows = {} as Record<SplitName, HistoryRows>;
  for (const split of splitNames)
    rows[split] = await readHistoryCsv(paths[split], users, items, bad, progress);
  return { path: paths.train, rows, names: items.names, userCount: users.names.length };
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

interface HistoryCells {
  user: string;
  item: string;
  time: unknown;
  rating: unknown;
}

/** Why a row cannot be used, if it cannot. */
function problemOf({ user, item, time, rating }: HistoryCells): string | undefined {
  if (!identifier(user)) return 'no user id';
  if (!identifier(item)) return 'no item id';
  if (Number.isNaN(numberOf(time))) return 'timestamp is not a number';
  if (rating !== undefined && Number.isNaN(numberOf(rating))) return 'rating is not a number';
  return undefined;
}
