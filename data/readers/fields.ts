import type { ItemFields } from '../text.ts';

/** The names that the releases of 2018 and 2023 and their derived files use for one thing, preferred first. */
export const fieldNames = {
  user: ['user_id', 'reviewerID'],
  item: ['parent_asin', 'asin'],
  time: ['timestamp', 'timestamp_ms', 'sortTimestamp', 'unixReviewTime'],
  rating: ['rating', 'overall'],
  history: ['history'],
  title: ['title'],
  features: ['features', 'feature'],
  categories: ['categories', 'category'],
  description: ['description'],
  /** Of a review: an item's title has the same name. */
  reviewTitle: ['review_title', 'summary', 'title'],
  reviewText: ['review_full', 'text', 'reviewText'],
  /** A finished text, in place of one made of the fields. */
  ready: ['item_text'],
} as const;

export type JsonRecord = Record<string, unknown>;

/** The value of the first of `names` that a record has, null counting as missing. */
export function pick(record: JsonRecord, names: readonly string[]): unknown {
  for (const name of names) {
    const value = record[name];
    if (value !== undefined && value !== null) return value;
  }
  return undefined;
}

/** An identifier as a string; undefined where it is missing, empty or no plain value. */
export function identifier(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value.trim() ? value.trim() : undefined;
}

/** The fields that item texts are made of. */
export function itemFields(record: JsonRecord): ItemFields {
  return {
    title: pick(record, fieldNames.title),
    features: pick(record, fieldNames.features),
    categories: pick(record, fieldNames.categories),
    description: pick(record, fieldNames.description),
  };
}

/** True for a value that is only the start of a tag, as scraping left in the titles of the 2018 release. */
export function isBrokenTag(value: unknown): boolean {
  return typeof value === 'string' && /^\s*<[a-z][^>]*$/i.test(value);
}
