import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createGzip } from 'node:zlib';
import { type Random, seeded } from '../common/random.ts';

const vocabulary =
  'the a game is great fun I and it to my of this play for with love really controller story graphics level boss kids son daughter bought works well but not very good bad price time hours battery screen would recommend it\u2019s caf\u00e9 "quoted" <br /> &amp; \u2605 easy hard never again'.split(
    ' ',
  );

/**
 * Writes raw files as Amazon Reviews 2023 has them, `reviews.jsonl.gz` and `meta.jsonl.gz`, of the lengths of Video_Games
 * (raw: 580 bytes a review): texts of words drawn at random, items and users by a power law, in no order of time or user.
 */
export async function writeRawReviews(folder: string, reviews: number, items: number): Promise<void> {
  const random = seeded('raw reviews', reviews);
  const words = wordPool(random);
  const text = (mean: number): string => {
    const length = Math.floor(-Math.log(1 - random.uniform()) * mean) + 3;
    const start = random.below(words.length - 20_000);
    return words.slice(start, start + Math.min(20_000, length));
  };
  const users = Math.floor(reviews * 0.6);
  await mkdir(folder, { recursive: true });
  await writeLines(join(folder, 'reviews.jsonl.gz'), reviews, () => {
    const item = itemId(Math.floor(items * random.uniform() ** 2));
    return {
      rating: 1 + random.below(5),
      title: text(20),
      text: text(250),
      images: [],
      asin: item,
      parent_asin: item,
      user_id: userId(Math.floor(users * random.uniform() ** 1.5)),
      timestamp: 1.2e12 + Math.floor(random.uniform() * 4.8e11),
      helpful_vote: random.below(3),
      verified_purchase: random.uniform() < 0.8,
    };
  });
  await writeLines(join(folder, 'meta.jsonl.gz'), items, (item) => ({
    main_category: 'Video Games',
    title: text(60),
    average_rating: 4.5,
    rating_number: random.below(1000),
    features: [text(120), text(120), text(120)],
    description: [text(700)],
    price: null,
    images: [{ thumb: `https://m.media-amazon.com/images/I/${item}.jpg`, large: null }],
    videos: [],
    store: 'Store',
    categories: ['Video Games', 'PC', 'Games'],
    details: { 'Best Sellers Rank': { 'Video Games': item } },
    parent_asin: itemId(item),
    bought_together: null,
  }));
}

function wordPool(random: Random): string {
  const words: string[] = [];
  for (let length = 0; length < 1_000_000; length += words.at(-1)!.length + 1)
    words.push(vocabulary[random.below(vocabulary.length)]);
  return words.join(' ');
}

/** Ids that look as Amazon's do, and compress no better: a multiplicative hash in letters and digits. */
const scrambled = (i: number): string =>
  Math.imul(i + 1, 0x9e3779b1)
    .toString(36)
    .replace('-', 'Z')
    .toUpperCase();
const itemId = (i: number): string => `B0${scrambled(i).padStart(8, '0').slice(-8)}`;
const userId = (i: number): string => `AE${scrambled(i)}${scrambled(~i)}${scrambled(i ^ 0x5bd1e995)}`;

async function writeLines(path: string, count: number, make: (i: number) => object): Promise<void> {
  const zip = createGzip({ level: 1 });
  const written = once(zip.pipe(createWriteStream(path)), 'finish');
  let block = '';
  for (let i = 0; i < count; i++) {
    block += `${JSON.stringify(make(i))}\n`;
    if (block.length < 1 << 20) continue;
    if (!zip.write(block)) await once(zip, 'drain');
    block = '';
  }
  zip.end(block);
  await written;
}
