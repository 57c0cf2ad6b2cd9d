import { basename } from 'node:path';
import { UserError } from '../../common/errors.ts';
import type { Progress } from '../../common/progress.ts';
import { type BadRows, GrowingArray, type Interactions, Interner } from '../table.ts';
import type { ItemFields } from '../text.ts';
import { findColumn, numberOf, readCsv, requireColumn } from './csv.ts';
import { fieldNames, identifier, type JsonRecord, pick } from './fields.ts';
import { isRecord, readJsonRecords } from './json.ts';

/** Gathers interactions of any number of files under one numbering of users and items. */
export class InteractionBuilder {
  readonly users = new Interner();
  readonly items = new Interner();
  /** Titles found inside reviews, for sources without metadata. */
  readonly embedded = new Map<string, ItemFields>();
  readonly #user = GrowingArray.int32();
  readonly #item = GrowingArray.int32();
  readonly #time = GrowingArray.float64();
  readonly #split: number[] = [];

  /** Adds one interaction; what cannot be read is counted as bad. `split` numbers the file it came from. */
  add(file: string, place: number, bad: BadRows, row: RawInteraction, split?: number): void {
    const problem = problemOf(row);
    if (problem) {
      bad.add(file, problem, place);
      return;
    }
    const item = identifier(row.item) as string;
    this.#user.push(this.users.id(identifier(row.user) as string));
    this.#item.push(this.items.id(item));
    this.#time.push(numberOf(row.time));
    if (split !== undefined) this.#split.push(split);
    if (row.product && !this.embedded.has(item)) this.embedded.set(item, row.product);
  }

  interactions(): Interactions {
    const split = this.#split.length ? Uint8Array.from(this.#split) : undefined;
    return { user: this.#user.toArray(), item: this.#item.toArray(), time: this.#time.toArray(), split };
  }
}

interface RawInteraction {
  user: unknown;
  item: unknown;
  time: unknown;
  rating?: unknown;
  product?: ItemFields;
}

/** Why a row cannot be used, if it cannot. */
export function problemOf({ user, item, time, rating }: RawInteraction): string | undefined {
  if (!identifier(user)) return 'no user id';
  if (!identifier(item)) return 'no item id';
  if (Number.isNaN(numberOf(time))) return 'timestamp is not a number';
  if (rating !== undefined && Number.isNaN(numberOf(rating))) return 'rating is not a number';
  return undefined;
}

/** Reads `user_id,parent_asin,rating,timestamp[,...]`, the benchmark's CSV. */
export async function readInteractionCsv(
  path: string,
  builder: InteractionBuilder,
  bad: BadRows,
  progress: Progress,
  split?: number,
): Promise<void> {
  await readCsv(path, progress, bad, (header) => {
    const user = requireColumn(header, fieldNames.user, path);
    const item = requireColumn(header, fieldNames.item, path);
    const time = requireColumn(header, fieldNames.time, path);
    const rating = findColumn(header, fieldNames.rating);
    return (cells, line) => {
      const row = { user: cells[user], item: cells[item], time: cells[time], rating: cells[rating] };
      builder.add(path, line, bad, row, split);
    };
  });
}

/** Reads reviews in JSON: one review a record, or one user a record with a list of reviews. */
export async function readReviewJson(
  path: string,
  builder: InteractionBuilder,
  bad: BadRows,
  progress: Progress,
): Promise<void> {
  await readJsonRecords(path, progress, bad, (record, place) => {
    const nested = record.reviews ?? record.history;
    if (nested === undefined) {
      builder.add(path, place, bad, reviewOf(record));
      return;
    }
    if (!Array.isArray(nested)) return bad.add(path, 'the list of reviews is no list', place);
    const reviews = isRecord(record.heldout) ? [...nested, record.heldout] : nested;
    for (const review of reviews) {
      if (isRecord(review)) builder.add(path, place, bad, { ...reviewOf(review), user: record.user_id });
      else bad.add(path, 'a review is not a JSON object', place);
    }
  });
}

function reviewOf(record: JsonRecord): RawInteraction {
  return {
    user: pick(record, fieldNames.user),
    item: pick(record, fieldNames.item),
    time: pick(record, fieldNames.time),
    rating: pick(record, fieldNames.rating),
    product: embeddedProduct(record),
  };
}

/** The product's title, where a review carries it (a review's own `title` is the reviewer's headline). */
function embeddedProduct(record: JsonRecord): ItemFields | undefined {
  if (isRecord(record.product)) return { title: record.product.title };
  return typeof record.product_name === 'string' ? { title: record.product_name } : undefined;
}

/** Reads interactions of one file, by its format. */
export async function readInteractionFile(
  path: string,
  builder: InteractionBuilder,
  bad: BadRows,
  progress: Progress,
): Promise<void> {
  if (/\.csv(\.gz)?$/.test(path)) return readInteractionCsv(path, builder, bad, progress);
  if (/\.jsonl?(\.gz)?$/.test(path)) return readReviewJson(path, builder, bad, progress);
  throw new UserError(
    `${path}: '${basename(path)}' is neither .csv, .json nor .jsonl (or one of these with .gz).`,
  );
}
