import type { Progress } from '../../common/progress.ts';
import { identifier } from '../../data/readers/fields.ts';
import type { BadRows } from '../../data/table.ts';
import type { PoolSettings } from '../settings.ts';
import type { TaskWriter } from '../store.ts';
import type { TaskManifest } from '../task.ts';

/** Where a reader puts what it finds. */
export interface Reading {
  writer: TaskWriter;
  bad: BadRows;
  progress: Progress;
  settings: PoolSettings;
  seed: number;
  /** Says what a rule kept. */
  step(rule: string, before: number, after: number): void;
}

/** Files recognised as those of a search task, ready to be read. */
export interface TaskSource {
  /** The layout, in words. */
  layout: string;
  /** Every file that is read: what the task depends on. */
  paths: string[];
  /** True where the pool is drawn here, by the settings; false where the files bring it. */
  drawn: boolean;
  gains(settings: PoolSettings): TaskManifest['gains'];
  read(reading: Reading): Promise<void>;
}

/** An id that can stand in a column of TREC's files; undefined where there is none. */
export function itemId(value: unknown): string | undefined {
  const id = identifier(value);
  return id === undefined || /\s/.test(id) ? undefined : id;
}
