import { join } from 'node:path';
import { UsageError, UserError } from '../../common/errors.ts';
import type { Progress } from '../../common/progress.ts';
import type { InteractionFile } from '../load.ts';
import type { DataSettings } from '../settings.ts';
import type { BadRows, HistoryRows, SplitName } from '../table.ts';
import type { itemShape, RowSource } from './source.ts';

/** Files that describe items. */
export interface ItemReading {
  files: RowSource<typeof itemShape>[];
  /** True where items that the files do not describe are to be dropped. */
  complete: boolean;
}

/** Who took what when: what there is to be read, and by which queries. */
export interface InteractionReading {
  interactions: InteractionFile[];
  items?: ItemReading;
  /** The source's own list of candidates, in order. */
  candidates?: readonly string[];
}

/** Rows that bring their histories, read already. */
export interface HistoryReading {
  path: string;
  rows: Record<SplitName, HistoryRows>;
  /** The names of the items by the numbers that the rows use. */
  names: readonly string[];
  userCount: number;
  items?: ItemReading;
  /** The source's own list of candidates, in order: item numbers. */
  candidates?: Int32Array;
}

export type Reading = InteractionReading | HistoryReading;

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
  /** Rows that bring histories, read as the interactions that they are, where they have times. */
  readInteractions?(): Promise<InteractionReading>;
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
