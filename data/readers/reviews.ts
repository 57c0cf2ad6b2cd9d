import type { Progress } from '../../common/progress.ts';
import type { BadRows } from '../table.ts';
import type { ItemFields } from '../text.ts';
import { numberOf } from './csv.ts';
import { fieldNames, identifier, type JsonRecord, pick } from './fields.ts';
import { isRecord, readJsonRecords } from './json.ts';

/** A review with its text. */
export interface Review {
  user: string;
  item: string;
  /** ms since 1970. */
  time: number;
  /** The reviewer's headline and text; '' where missing. */
  title: string;
  text: string;
  /** Stars; NaN where missing. */
  rating: number;
  /** The category of the product, where the file names it. */
  category?: string;
  /** What the review itself says of the product, where it does. */
  product?: ItemFields;
}

/**
 * Calls `use` for every review of a JSON file: one review a record, or one user a record with a list of reviews. Reviews
 * without user, item or time are counted as bad.
 */
export async function forEachReview(
  path: string,
  progress: Progress,
  bad: BadRows,
  use: (review: Review) => void,
): Promise<void> {
  const take = (record: JsonRecord, { user, category }: Shared, place: number): void => {
    const review = reviewOf(record, user, category);
    if (typeof review === 'string') bad.add(path, review, place);
    else use(review);
  };
  await readJsonRecords(path, progress, bad, (record, place) => {
    const nested = record.reviews ?? record.history;
    const shared = { user: pick(record, fieldNames.user), category: record.category };
    if (nested === undefined) return take(record, shared, place);
    if (!Array.isArray(nested)) return bad.add(path, 'the list of reviews is no list', place);
    for (const review of isRecord(record.heldout) ? [...nested, record.heldout] : nested) {
      if (isRecord(review)) take(review, shared, place);
      else bad.add(path, 'a review is not a JSON object', place);
    }
  });
}

/** What the reviews of one record have in common. */
interface Shared {
  user: unknown;
  category: unknown;
}

/** A review, or why it cannot be used. */
function reviewOf(record: JsonRecord, userId: unknown, category: unknown): Review | string {
  const user = identifier(userId);
  const item = identifier(pick(record, fieldNames.item));
  const time = numberOf(pick(record, fieldNames.time));
  if (!user) return 'no user id';
  if (!item) return 'no item id';
  if (Number.isNaN(time)) return 'timestamp is not a number';
  const written = (names: readonly string[]) => {
    const value = pick(record, names);
    return typeof value === 'string' ? value : '';
  };
  return {
    user,
    item,
    time: inMilliseconds(time),
    title: written(fieldNames.reviewTitle),
    text: written(fieldNames.reviewText),
    rating: numberOf(pick(record, fieldNames.rating)),
    category: typeof category === 'string' ? category : undefined,
    product: embeddedProduct(record),
  };
}

/** The release of 2018 counts seconds, that of 2023 milliseconds; reviews begin in 1996, so the two are far apart. */
function inMilliseconds(time: number): number {
  return Math.abs(time) < 1e11 ? time * 1000 : time;
}

/** The product's title, where a review carries it (a review's own `title` is the reviewer's headline). */
function embeddedProduct(record: JsonRecord): ItemFields | undefined {
  if (isRecord(record.product)) return { title: record.product.title };
  return typeof record.product_name === 'string' ? { title: record.product_name } : undefined;
}
