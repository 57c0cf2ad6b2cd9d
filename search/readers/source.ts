import type { Progress } from '../../common/progress.ts';
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
  synthetic?: boolean;
  gains(settings: PoolSettings): TaskManifest['gains'];
  read(reading: Reading): Promise<void>;
}
