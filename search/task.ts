import type { Texts } from '../common/texts.ts';

/** A query, and the items that answer it. */
export interface Query {
  id: string;
  text: string;
  /** Items by their own ids, each with a whole-numbered grade above 0; they need not be in the pool. */
  relevant: { item: string; grade: number }[];
}

/** The items that are searched; all have numbers 0, 1, 2... */
export interface Pool {
  ids: readonly string[];
  texts: Texts;
  /** [items] numbers of `domains` */
  domain: Int32Array;
  /** Names; '' for items whose source names none. */
  domains: readonly string[];
}

/** How a search task came to be. */
export interface TaskManifest {
  name: string;
  /** SHA-256 of sources and settings: equal hashes mean equal tasks. */
  hash: string;
  sources: { path: string; bytes: number; sha256: string }[];
  settings: Record<string, unknown>;
  /** What was read, kept and dropped, in order. */
  steps: { rule: string; in: number; out: number }[];
  /** Rows that could not be used: how many, why, and the first ones with their line numbers. */
  bad: { file: string; reason: string; count: number; lines: number[] }[];
  counts: { items: number; queries: number; judgments: number; domains: number };
  /** Mean characters of a query and of an item's text. */
  meanLength: { query: number; item: number };
  /** What grades stand for, by label: { Exact: 1 }. */
  gains: Record<string, number>;
}

/** A search task: for every query, find its relevant items in the pool. */
export interface SearchTask {
  manifest: TaskManifest;
  pool: Pool;
  queries: readonly Query[];
}
