import { UserError } from '../common/errors.ts';
import type { Progress } from '../common/progress.ts';
import type { Database } from './database.ts';
import type { Manifest } from './dataset.ts';
import type { ItemCounts } from './load.ts';
import type { DataSettings } from './settings.ts';
import type { BadRows } from './table.ts';

/** What preparation adds to a manifest. */
export interface Prepared {
  steps: Manifest['steps'];
  ties: string;
  times?: Manifest['times'];
  counts: Manifest['counts'];
}

export interface PrepareContext {
  /** Where the prepared dataset goes. */
  folder: string;
  database: Database;
  settings: DataSettings;
  /** Decides random ties. */
  seed: number;
  bad: BadRows;
  progress: Progress;
}

/** What a manifest calls the rule that split the interactions. Cached ones have it: it stays as it is. */
export const splitRules = {
  'leave-last-out': 'split leave-last-out',
  timestamp: 'split by timestamp',
  files: "the files' split",
} as const;
export type Split = keyof typeof splitRules;

/** What a manifest calls the rule that drops items without metadata. */
export const WITHOUT_METADATA = 'drop items without metadata';

/** How a dataset was split; rows that bring their histories come split. */
export function splitOf({ steps }: Manifest): Split {
  const splits = Object.keys(splitRules) as Split[];
  return splits.find((split) => steps.some(({ rule }) => rule === splitRules[split])) ?? 'files';
}

/** Gathers the manifest's entries. */
export class Steps {
  readonly list: Manifest['steps'] = [];

  /** An entry has no key `note` where there is no note, so that it equals itself after JSON. */
  readonly add = (rule: string, unit: string, before: number, after: number, note?: string): void => {
    this.list.push({ rule, unit, in: before, out: after, ...(note !== undefined && { note }) });
  };
}

/** No row is left: what each rule left over, and what is likely behind it. */
export function noRowsLeft({ list }: Steps): UserError {
  const counts = list.map(({ rule, unit, in: before, out }) => `${rule}: ${before} -> ${out} ${unit}`);
  const cause = list.some(({ rule, out }) => rule === WITHOUT_METADATA && !out)
    ? 'no interaction is with an item that has metadata: do both files name items alike?'
    : 'a row needs an earlier interaction of the same user, and every user has but one.';
  return new UserError(`no rows are left (${counts.join('; ')}): ${cause}`);
}

/** What there was to know of the metadata. */
export function metadataNote({ rows, duplicates, brokenTags }: ItemCounts): string {
  const parts = [`${rows} metadata rows`];
  if (duplicates) parts.push(`${duplicates} repeated an item (the first counts)`);
  if (brokenTags) parts.push(`${brokenTags} titles were the start of an HTML tag (taken as missing)`);
  return parts.join(', ');
}
