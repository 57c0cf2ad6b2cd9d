import type { Texts } from '../common/texts.ts';
import type { Dataset, Manifest, Rows } from './dataset.ts';
import { splitNames } from './table.ts';

/** How often each item occurs in training interactions, [itemCount]: what popularity means here. */
export function trainingCounts({ itemCount, pool, train }: Dataset): Int32Array {
  const counts = new Int32Array(itemCount);
  const first = new Set<number>();
  for (let i = 0; i < train.target.length; i++) {
    counts[train.target[i]]++;
    // A sequence's first item is no row's target, but its interaction is a training one.
    if (train.end[i] - train.start[i] === 1 && !first.has(train.start[i])) {
      first.add(train.start[i]);
      counts[pool[train.start[i]]]++;
    }
  }
  return counts;
}

/** How many of the rows have each item as their target, [itemCount]. */
export function targetCounts({ target }: Rows, itemCount: number): Int32Array {
  const counts = new Int32Array(itemCount);
  for (const item of target) counts[item]++;
  return counts;
}

/** What `rec data inspect` shows. */
export interface DatasetSummary {
  name: string;
  synthetic: boolean;
  layout: string;
  hash: string;
  counts: Manifest['counts'];
  steps: Manifest['steps'];
  bad: Manifest['bad'];
  ties: string;
  sources: Manifest['sources'];
  /** Items whose text is '', and the mean length of texts in characters; undefined without texts. */
  texts?: { empty: number; meanCharacters: number };
  /** Items that no training interaction names, and the rows whose target is one of them. */
  cold: { items: number; validRows: number; testRows: number };
  /** Lengths of histories: quantiles, mean, and the mean after cutting to the last 50 as in the paper's Table 3. */
  histories: Record<(typeof splitNames)[number], HistoryLengths>;
  meanHistory50: number;
  /** The last items of a test row's history and its target. */
  examples: { user: number; history: ShownItem[]; target: ShownItem }[];
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

/** Summarises a prepared dataset for people. */
export function inspectDataset(dataset: Dataset, exampleCount = 3): DatasetSummary {
  const { manifest, itemTexts } = dataset;
  const counts = trainingCounts(dataset);
  const coldRows = ({ target }: Rows): number => target.filter((item) => counts[item] === 0).length;
  const allRows = splitNames.map((split) => dataset[split]);
  const rows = allRows.reduce((sum, { target }) => sum + target.length, 0);
  const cut = allRows.reduce(
    (sum, { start, end }) => sum + end.reduce((inner, e, i) => inner + Math.min(50, e - start[i]), 0),
    0,
  );
  return {
    name: dataset.name,
    synthetic: dataset.synthetic,
    layout: manifest.layout,
    hash: manifest.hash,
    counts: manifest.counts,
    steps: manifest.steps,
    bad: manifest.bad,
    ties: manifest.ties,
    sources: manifest.sources,
    texts: itemTexts && textsOf(itemTexts),
    cold: {
      items: counts.filter((count) => count === 0).length,
      validRows: coldRows(dataset.valid),
      testRows: coldRows(dataset.test),
    },
    histories: {
      train: historyLengths(dataset.train),
      valid: historyLengths(dataset.valid),
      test: historyLengths(dataset.test),
    },
    meanHistory50: cut / rows,
    examples: examplesOf(dataset, exampleCount),
  };
}

function textsOf(texts: Texts): NonNullable<DatasetSummary['texts']> {
  let empty = 0;
  let characters = 0;
  for (const text of texts) {
    if (!text) empty++;
    characters += text.length;
  }
  return { empty, meanCharacters: characters / texts.length };
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
