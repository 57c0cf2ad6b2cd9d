import { basename } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { parquetColumns } from '../database.ts';
import { BadRows } from '../table.ts';
import { csvHeader, requireColumn } from './csv.ts';
import { fieldNames, type JsonRecord, pick } from './fields.ts';
import { isRecord, jsonHead, readJsonRecords } from './json.ts';
import {
  delimited,
  interactionShape,
  type itemShape,
  jsonLines,
  type PushSource,
  parquetRows,
  type RowSource,
} from './source.ts';

const names = {
  user_name: fieldNames.user,
  item_name: fieldNames.item,
  time: fieldNames.time,
  rating: fieldNames.rating,
} as const;

/** A file of interactions, and the products that its reviews name where they bring them. */
export interface ReviewFile {
  reviews: RowSource<typeof interactionShape>;
  products?: RowSource<typeof itemShape>;
}

/** How to read interactions of one file, by its format: CSV with a header, reviews in JSON, Parquet. */
export async function reviewFile(path: string): Promise<ReviewFile> {
  if (/\.csv(\.gz)?$/.test(path)) return { reviews: await ratingsCsv(path) };
  if (/\.parquet$/.test(path))
    return { reviews: parquetRows(path, interactionShape, names, await parquetColumns(path)) };
  if (/\.jsonl?(\.gz)?$/.test(path)) return reviewJson(path);
  throw new UserError(
    `${path}: '${basename(path)}' is neither .csv, .json, .jsonl (or one of these with .gz) nor .parquet.`,
  );
}

/** `user_id,parent_asin,rating,timestamp[,...]`, the benchmark's CSV. */
export async function ratingsCsv(path: string): Promise<RowSource<typeof interactionShape>> {
  const header = await csvHeader(path);
  if (!header.length) throw new UserError(`${path}: the file is empty; a header line was expected.`);
  for (const column of [fieldNames.user, fieldNames.item, fieldNames.time])
    requireColumn(header, column, path);
  return delimited(path, interactionShape, names, { header });
}

/** One review a line; or lists of reviews, users with lists of reviews, and reviews that name their product. */
async function reviewJson(path: string): Promise<ReviewFile> {
  const { first, plainLines } = await jsonHead(path);
  const odd = first && ((first.reviews ?? first.history) !== undefined || productOf(first) !== undefined);
  if (plainLines && !odd) return { reviews: jsonLines(path, interactionShape, names) };
  return { reviews: nestedReviews(path), products: nestedProducts(path) };
}

function nestedReviews(path: string): PushSource<typeof interactionShape> {
  return {
    path,
    async push(add, bad, progress) {
      await readJsonRecords(path, progress, bad, (record, place) => {
        const list = record.reviews ?? record.history;
        if (list !== undefined && !Array.isArray(list))
          return bad.add(path, 'the list of reviews is no list', place);
        for (const review of reviewsOf(record)) {
          if (!isRecord(review)) bad.add(path, 'a review is not a JSON object', place);
          else
            add(place, {
              user_name: asText(
                pick(review === record ? review : { user_id: record.user_id }, fieldNames.user),
              ),
              item_name: asText(pick(review, fieldNames.item)),
              time: asText(pick(review, fieldNames.time)),
              rating: asText(pick(review, fieldNames.rating)),
            });
        }
      });
    },
  };
}

function nestedProducts(path: string): PushSource<typeof itemShape> {
  return {
    path,
    async push(add, _bad, progress) {
      // What cannot be read has been counted with the reviews.
      await readJsonRecords(path, progress, new BadRows(), (record, place) => {
        for (const review of reviewsOf(record)) {
          const title = productOf(review);
          if (title !== undefined)
            add(place, { item_name: asText(pick(review as JsonRecord, fieldNames.item)), title });
        }
      });
    },
  };
}

/** The reviews of a record: its list, and the one held out of it; or the record itself. */
function reviewsOf(record: JsonRecord): unknown[] {
  const list = record.reviews ?? record.history;
  if (!Array.isArray(list)) return [record];
  return isRecord(record.heldout) ? [...list, record.heldout] : list;
}

/** The product's title as JSON, where a review carries it (a review's own `title` is the reviewer's headline). */
function productOf(review: unknown): string | undefined {
  if (!isRecord(review)) return undefined;
  if (isRecord(review.product)) return JSON.stringify(review.product.title ?? null);
  return typeof review.product_name === 'string' ? JSON.stringify(review.product_name) : undefined;
}

/** A plain value as text, NULL where it is missing; what is no plain value cannot be understood, as an empty text. */
function asText(value: unknown): string | null {
  if (value === undefined) return null;
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
