import type { Texts } from '../common/texts.ts';

/**
 * A prepared dataset: what every later stage reads. Items and users are dense integers; there is no PAD item.
 *
 * Histories are slices of one pool of item ids: a row's history is `pool[start..end)`, oldest first, ALL of the user's
 * earlier items (the trainer keeps the last `maxHistory`). Rows that share a `start` are prefixes of one another,
 * which is what lets one causal pass over a sequence serve all of its rows.
 */
export interface Dataset {
  name: string;
  /** True for generated data; shown wherever a result of it is shown. */
  synthetic: boolean;
  itemCount: number;
  userCount: number;
  /** [itemCount] the source's own ids. */
  itemIds: readonly string[];
  /** [itemCount] cleaned text of every item ('' where it has none), on disk; undefined where the source has no texts. */
  itemTexts?: Texts;
  /** Item ids, all histories. */
  pool: Int32Array;
  train: Rows;
  valid: Rows;
  test: Rows;
  /** A ready-made matrix that lies beside the data (an official `.feature` file), aligned with item ids. */
  featureFile?: FeatureFile;
  manifest: Manifest;
}

/** Cases: each has a history `pool[start[i]..end[i])` and a target item. All arrays have the same length. */
export interface Rows {
  user: Int32Array;
  start: Int32Array;
  end: Int32Array;
  target: Int32Array;
}

/** A float32 matrix [rows, dims], little-endian, row-major, without a header; row i belongs to item i. */
export interface FeatureFile {
  path: string;
  dims: number;
}

/** How the data came to be: everything that was read, kept and dropped, in order. */
export interface Manifest {
  name: string;
  synthetic: boolean;
  layout: string;
  /** SHA-256 of sources and settings: equal hashes mean equal prepared data. */
  hash: string;
  sources: { path: string; bytes: number; sha256: string }[];
  settings: Record<string, unknown>;
  /** One entry a rule, in the order applied; `in` and `out` count `unit`s. */
  steps: { rule: string; unit: string; in: number; out: number; note?: string }[];
  /** Rows that could not be read: how many, why, and the first ones with their line numbers. */
  bad: { file: string; reason: string; count: number; lines: number[] }[];
  /** When the interactions of each split were; undefined for rows that bring their histories. */
  times?: SplitTimes;
  /** The order of interactions with equal timestamps, by name ('file order'). */
  ties: string;
  counts: { users: number; items: number; interactions: number; train: number; valid: number; test: number };
}

/** When interactions were, and what of a split does not follow their order. */
export interface SplitTimes {
  /** The first and the last of each split, ms since 1970; null where a split has none. */
  train: [number, number] | null;
  valid: [number, number] | null;
  test: [number, number] | null;
  /** Train interactions that are not before the first valid one of anybody: what a timestamp split rules out. */
  trainAfterValid: number;
  /** Users with a train interaction after one of their own that is valid or test, or a valid one after a test one. */
  usersOutOfOrder: number;
}
