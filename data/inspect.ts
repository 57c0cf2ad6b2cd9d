import { createHash } from 'node:crypto';
import { trainingCounts } from './counts.ts';
import type { Dataset, Manifest, Rows } from './dataset.ts';
import { countDoubling, type Histogram } from './histogram.ts';
import type { SplitName } from './table.ts';

/** What `rec data inspect` shows. */
export interface DatasetSummary
  extends Pick<
    Manifest,
    'name' | 'synthetic' | 'layout' | 'hash' | 'counts' | 'steps' | 'bad' | 'ties' | 'times' | 'sources'
  > {
  /** As in the paper's Table 3: mean length of histories cut to their last 50, mean characters of an item's text. */
  table3: {
    users: number;
    items: number;
    interactions: number;
    averageLength: number;
    averageCharacters?: number;
  };
  /** Undefined without texts. */
  texts?: TextSummary;
  /** Items that no training interaction names, and the rows whose target is one of them. */
  cold: { items: number; validRows: number; testRows: number };
  /** Rows whose target is in their own history: 0 where repeats were removed. */
  seenTargets: Record<SplitName, number>;
  /** Lengths of histories. */
  histories: Record<SplitName, HistoryLengths>;
  /** Lengths of all rows' histories, and how often items occur in training. */
  histograms: Histogram[];
  /** The last items of a test row's history and its target. */
  examples: { user: number; history: ShownItem[]; target: ShownItem }[];
}

export interface TextSummary {
  /** Items without a text, and the first of them. */
  empty: number;
  emptyItems: string[];
  /** Items whose text another item has too, and the first texts that were met again. */
  duplicates: number;
  duplicateTexts: string[];
}

export interface HistoryLengths {
  rows: number;
  mean: number;
  min: number;
  p25: number;
  median: number;
  p75: number;
  p95: number;
  max: number;
}

export interface ShownItem {
  id: string;
  text?: string;
}

/** How many items or texts are named of a kind. */
const SHOWN = 3;

/** Summarises a prepared dataset for people. */
export function inspectDataset(dataset: Dataset, exampleCount = 3): DatasetSummary {
  const { name, synthetic, layout, hash, counts, steps, bad, ties, times, sources } = dataset.manifest;
  const popularity = trainingCounts(dataset);
  const ofSplits = <T>(make: (rows: Rows) => T): Record<SplitName, T> => ({
    train: make(dataset.train),
    valid: make(dataset.valid),
    test: make(dataset.test),
  });
  const coldRows = ({ target }: Rows): number =>
    target.reduce((sum, item) => sum + (popularity[item] ? 0 : 1), 0);
  const lengths = Object.values(ofSplits(({ start, end }) => end.map((e, i) => e - start[i])));
  const rows = counts.train + counts.valid + counts.test;
  const cut = lengths.reduce((sum, list) => list.reduce((inner, n) => inner + Math.min(50, n), sum), 0);
  const { summary, characters } = dataset.itemTexts ? summariseTexts(dataset) : {};
  return {
    ...{ name, synthetic, layout, hash, counts, steps, bad, ties, times, sources },
    table3: {
      users: counts.users,
      items: counts.items,
      interactions: counts.interactions,
      averageLength: cut / rows,
      ...(characters !== undefined && { averageCharacters: characters / counts.items }),
    },
    ...(summary && { texts: summary }),
    cold: {
      items: popularity.reduce((sum, count) => sum + (count ? 0 : 1), 0),
      validRows: coldRows(dataset.valid),
      testRows: coldRows(dataset.test),
    },
    seenTargets: ofSplits((rows) => countSeenTargets(dataset.pool, rows)),
    histories: ofSplits(historyLengths),
    histograms: [
      { title: 'length of history', unit: 'rows', bins: countDoubling(valuesOf(lengths)) },
      { title: 'training interactions of an item', unit: 'items', bins: countDoubling(popularity) },
    ],
    examples: examplesOf(dataset, exampleCount),
  };
}

function* valuesOf(lists: Iterable<Int32Array>): Generator<number> {
  for (const list of lists) yield* list;
}

/** One pass over the texts, which are on disk; texts met before are known by a hash. */
function summariseTexts({ itemTexts, itemIds }: Dataset): { summary: TextSummary; characters: number } {
  const summary: TextSummary = { empty: 0, emptyItems: [], duplicates: 0, duplicateTexts: [] };
  const met = new Map<string, number>();
  let characters = 0;
  let item = 0;
  for (const text of itemTexts!) {
    characters += text.length;
    const id = itemIds[item++];
    if (!text.trim()) {
      summary.empty++;
      if (summary.emptyItems.length < SHOWN) summary.emptyItems.push(id);
      continue;
    }
    const hash = createHash('sha256').update(text).digest('base64');
    const before = met.get(hash) ?? 0;
    met.set(hash, before + 1);
    // The first of equal texts counts as soon as there is a second.
    if (before) summary.duplicates += before === 1 ? 2 : 1;
    if (before === 1 && summary.duplicateTexts.length < SHOWN) summary.duplicateTexts.push(text);
  }
  return { summary, characters };
}

function countSeenTargets(pool: Int32Array, { start, end, target }: Rows): number {
  let seen = 0;
  for (let i = 0; i < target.length; i++) if (pool.subarray(start[i], end[i]).includes(target[i])) seen++;
  return seen;
}

function historyLengths({ start, end }: Rows): HistoryLengths {
  const lengths = end.map((e, i) => e - start[i]).sort();
  const at = (share: number): number => lengths[Math.floor(share * (lengths.length - 1))] ?? 0;
  return {
    rows: lengths.length,
    mean: lengths.length ? lengths.reduce((sum, n) => sum + n, 0) / lengths.length : 0,
    min: at(0),
    p25: at(0.25),
    median: at(0.5),
    p75: at(0.75),
    p95: at(0.95),
    max: at(1),
  };
}

function examplesOf(dataset: Dataset, count: number): DatasetSummary['examples'] {
  const { test, pool, itemIds, itemTexts } = dataset;
  const show = (item: number): ShownItem => ({ id: itemIds[item], text: itemTexts?.at(item) });
  const step = Math.max(1, Math.floor(test.target.length / Math.max(1, count)));
  const examples: DatasetSummary['examples'] = [];
  for (let i = 0; i < test.target.length && examples.length < count; i += step)
    examples.push({
      user: test.user[i],
      history: Array.from(pool.subarray(Math.max(test.start[i], test.end[i] - 3), test.end[i]), show),
      target: show(test.target[i]),
    });
  return examples;
}
