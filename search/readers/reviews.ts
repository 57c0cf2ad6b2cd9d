import { basename } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { seeded } from '../../common/random.ts';
import { sortFiles } from '../../data/readers/amazon.ts';
import { forEachItem } from '../../data/readers/items.ts';
import type { Folder } from '../../data/readers/layout.ts';
import { forEachReview } from '../../data/readers/reviews.ts';
import { BadRows } from '../../data/table.ts';
import { cleanText, searchText } from '../../data/text.ts';
import type { Query } from '../task.ts';
import { drawPool, type ItemPass } from './pool.ts';
import type { Reading, TaskSource } from './source.ts';

/** Recognises reviews in JSON, with item metadata beside them or inside. */
export async function detectReviews(folder: Folder): Promise<TaskSource | undefined> {
  const { reviews, metadata } = await sortFiles(folder, []);
  if (!reviews.length) return undefined;
  return {
    layout: 'reviews',
    paths: [...reviews, ...metadata],
    drawn: true,
    gains: () => ({ 'reviewed item': 1 }),
    async read(reading) {
      const queries = await reviewsAsQueries(reviews, reading);
      const fallback = basename(folder.path);
      const items = metadata.length
        ? itemsOfMetadata(metadata, fallback, reading)
        : itemsOfReviews(reviews, fallback, reading);
      await drawPool(queries, items, reading);
    },
  };
}

/**
 * Satisfied and wordy reviews, as Amazon-C4 takes them (paper, section 3.3) before ChatGPT rephrases them: what a review
 * says stands for what its writer was looking for.
 */
async function reviewsAsQueries(paths: readonly string[], reading: Reading): Promise<Query[]> {
  const { progress, bad, settings, seed, step } = reading;
  const found: { item: string; text: string }[] = [];
  let read = 0;
  for (const path of paths)
    await forEachReview(path, progress, bad, ({ item, title, text, rating, time }) => {
      read++;
      if (rating < settings.minRating || text.length < settings.minLength || time < settings.after) return;
      found.push({ item, text: cleanText(`${title} ${text}`) });
    });
  step(`reviews of ${settings.minRating} stars and ${settings.minLength} characters`, read, found.length);
  if (read && !found.length)
    throw new UserError(
      `${paths.join(', ')}: of ${read} reviews none can be a query: one has ${settings.minRating} stars and ${settings.minLength} ` +
        'characters at least; lower pool.minRating or pool.minLength (and look at pool.after)',
    );
  const drawn =
    found.length <= settings.queries
      ? found
      : [
          ...seeded(seed, 'queries').shuffle(Int32Array.from(found.keys())).slice(0, settings.queries).sort(),
        ].map((i) => found[i]);
  step('queries drawn', found.length, drawn.length);
  return drawn.map(({ item, text }, i) => ({ id: String(i), text, relevant: [{ item, grade: 1 }] }));
}

/** A domain is what follows `meta_` in a file's name, else the name of the folder. Only the first pass counts bad rows. */
export function itemsOfMetadata(
  paths: readonly string[],
  fallback: string,
  { progress, bad }: Pick<Reading, 'progress' | 'bad'>,
): ItemPass {
  let rows = bad;
  return async (use) => {
    for (const path of paths) {
      const domain = /^meta_([^.]+)\./.exec(basename(path))?.[1] ?? fallback;
      await forEachItem(path, progress, rows, (id, item) => use(id, () => searchText(item), domain));
    }
    rows = new BadRows();
  };
}

function itemsOfReviews(paths: readonly string[], fallback: string, { progress }: Reading): ItemPass {
  return async (use) => {
    for (const path of paths)
      await forEachReview(path, progress, new BadRows(), ({ item, product, category }) => {
        if (product) use(item, () => searchText(product), category ?? fallback);
      });
  };
}
