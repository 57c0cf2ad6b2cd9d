import { join } from 'node:path';
import { UsageError, UserError } from '../../common/errors.ts';
import type { Progress } from '../../common/progress.ts';
import type { DataSettings } from '../settings.ts';
import type { BadRows, Reading } from '../table.ts';

/** Files of a source, recognised as one of the layouts, ready to be read. A reader for another engine makes these too. */
export interface Layout {
  name: string;
  /** True where train, valid and test are files of their own. */
  split: boolean;
  /** Every file that `read` reads: what the prepared dataset depends on. */
  paths: string[];
  /** A ready-made text matrix beside the data. */
  featurePath?: string;
  /** True for generated data. */
  synthetic?: boolean;
  /** What decides generated data, in place of files. */
  identity?: unknown;
  /** What the user should know of the recognition. */
  notes?: string[];
  read(settings: DataSettings, bad: BadRows, progress: Progress): Promise<Reading>;
}

/** The plain files of a folder, sorted by name. */
export interface Folder {
  path: string;
  files: string[];
}

/** @throws UserError where a folder lacks a file that another one of it calls for. */
export function requireFile(folder: Folder, name: string): void {
  if (!folder.files.includes(name))
    throw new UserError(`${join(folder.path, name)}: missing; it belongs to the split files in this folder.`);
}

export function severalDatasets(folder: Folder, names: readonly string[]): UsageError {
  const list = names.map((name) => name.split('/').at(-1)).join(', ');
  return new UsageError(
    `${folder.path}: several datasets in one folder (${list}); put the files of one of them into a folder of its own.`,
  );
}
