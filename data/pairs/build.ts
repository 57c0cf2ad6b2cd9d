import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { UserError } from '../../common/errors.ts';
import { explainFileError, replaceAtomically } from '../../common/files.ts';
import type { Progress } from '../../common/progress.ts';
import { sortFiles } from '../readers/amazon.ts';
import { forEachItem } from '../readers/items.ts';
import { forEachReview, type Review } from '../readers/reviews.ts';
import { BadRows, type SplitName, splitNames } from '../table.ts';
import { cleanText, type ItemFields, pretrainingText } from '../text.ts';
import type { PairSettings } from './settings.ts';

/** What `rec data pairs` did, counted. */
export interface PairsReport {
  file: string;
  pairs: Record<SplitName, number>;
  users: number;
  items: number;
  /** Reviews read, and what became of those that are no pairs, rule by rule in the order applied. */
  reviews: number;
  dropped: Record<(typeof rules)[number], number>;
  /** Pairs by folder that they came from. */
  domains: Record<string, number>;
  badRows: ReturnType<BadRows['list']>;
}

const rules = [
  'not sampled',
  'at or after the split time',
  'review too short',
  'item without metadata',
  'item text too short',
  'repeated review of an item',
] as const;

/** The columns of a pairs file. */
export const pairColumns = ['split', 'domain', 'user', 'item', 'review', 'metadata'] as const;

/**
 * Builds the pretraining pairs (review, item metadata) of raw Amazon reviews (paper, section 4.1.1) and writes them as
 * tab-separated lines, zipped where the name ends in .gz. Texts of the items of one folder at a time are in memory.
 * @param folders each one domain: reviews in JSON, and item metadata beside them or inside the reviews
 * @throws UserError where a folder has no reviews, or no pair is left
 */
export async function buildPairs(
  folders: readonly string[],
  out: string,
  settings: PairSettings,
  progress: Progress,
): Promise<PairsReport> {
  const bad = new BadRows(settings.strict, 'pairs.strict');
  const report: PairsReport = {
    file: out,
    pairs: { train: 0, valid: 0, test: 0 },
    users: 0,
    items: 0,
    reviews: 0,
    dropped: Object.fromEntries(rules.map((rule) => [rule, 0])) as PairsReport['dropped'],
    domains: {},
    badRows: [],
  };
  const users = new Set<string>();
  const items = new Set<string>();
  await replaceAtomically(out, async (temporary) => {
    const file = new LineWriter(temporary, out.endsWith('.gz'));
    try {
      file.write(pairColumns.join('\t'));
      for (const folder of folders) {
        const domain = basename(resolve(folder));
        const before = total(report);
        await addFolder(folder, { settings, bad, progress, report }, (review, metadata, split) => {
          users.add(review.user);
          items.add(review.item);
          const cells = [split, domain, review.user, review.item, reviewText(review, settings), metadata];
          file.write(cells.join('\t'));
        });
        report.domains[domain] = (report.domains[domain] ?? 0) + total(report) - before;
      }
      if (!report.pairs.train)
        throw new UserError(
          `no pair to train on is left of ${report.reviews} reviews: ${inWords(report.dropped)}`,
        );
    } finally {
      file.close();
    }
  });
  return { ...report, users: users.size, items: items.size, badRows: bad.list() };
}

const total = ({ pairs }: PairsReport) => pairs.train + pairs.valid + pairs.test;
const inWords = (dropped: PairsReport['dropped']) =>
  Object.entries(dropped)
    .filter(([, count]) => count)
    .map(([rule, count]) => `${count} ${rule}`)
    .join(', ') || 'there were none';

interface Building {
  settings: PairSettings;
  bad: BadRows;
  progress: Progress;
  report: PairsReport;
}

/** Reviews are read twice: first for the items whose texts are wanted. */
async function addFolder(
  folder: string,
  { settings, bad, progress, report }: Building,
  add: (review: Review, metadata: string, split: SplitName) => void,
): Promise<void> {
  const { reviews, metadata } = await filesOf(folder);
  const wanted = new Set<string>();
  const embedded = new Map<string, string>();
  for (const path of reviews)
    await forEachReview(path, progress, new BadRows(), (review) => {
      if (problemOf(review, settings)) return;
      wanted.add(review.item);
      if (review.product && !embedded.has(review.item))
        embedded.set(review.item, itemText(review.product, settings));
    });
  const texts = metadata.length ? new Map<string, string>() : embedded;
  for (const path of metadata)
    await forEachItem(path, progress, bad, (id, item) => {
      // Of several rows of an item the first counts.
      if (wanted.has(id) && !texts.has(id)) texts.set(id, itemText(item, settings));
    });
  const known = new Set<string>();
  for (const path of reviews) {
    await forEachReview(path, progress, bad, (review) => {
      report.reviews++;
      const text = texts.get(review.item);
      const problem = problemOf(review, settings) ?? problemOfItem(text, settings) ?? repeated(review, known);
      if (problem) {
        report.dropped[problem]++;
        return;
      }
      const split = splitOf(review.user, settings);
      report.pairs[split]++;
      add(review, text as string, split);
    });
  }
}

async function filesOf(folder: string) {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error) => {
    throw explainFileError(error, folder);
  });
  const files = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  const { reviews, metadata } = await sortFiles({ path: folder, files: files.sort() }, []);
  if (!reviews.length)
    throw new UserError(
      `${folder}: no reviews in JSON (.json, .jsonl, or with .gz) in it; it holds ${files.join(', ') || 'nothing'}`,
    );
  return { reviews, metadata };
}

function problemOf(review: Review, settings: PairSettings): (typeof rules)[number] | undefined {
  if (!sampled(review, settings)) return 'not sampled';
  if (review.time >= settings.before) return 'at or after the split time';
  return reviewText(review, settings).length > settings.longerThan ? undefined : 'review too short';
}

function problemOfItem(text: string | undefined, { longerThan }: PairSettings) {
  if (!text) return 'item without metadata';
  return text.length > longerThan ? undefined : 'item text too short';
}

/** One review text of an item counts once, whoever posted it how often. */
function repeated({ item, title, text }: Review, known: Set<string>) {
  const key = digest(item, title, text).toString('latin1', 0, 12);
  if (known.has(key)) return 'repeated review of an item';
  known.add(key);
  return undefined;
}

/** Tabs and line breaks would break the file's lines. */
const inOneLine = (text: string) => text.replace(/[\t\n\r]/g, ' ').trim();

function reviewText({ title, text }: Review, { clean }: PairSettings): string {
  const whole = `${title} ${text}`;
  return inOneLine(clean ? cleanText(whole) : whole);
}

function itemText(item: ItemFields, { clean }: PairSettings): string {
  const text = pretrainingText(item);
  return inOneLine(clean ? cleanText(text) : text);
}

const digest = (...words: (string | number)[]) => createHash('sha1').update(JSON.stringify(words)).digest();
/** A number in [0, 1) that depends on these words alone, not on the order of rows. */
const draw = (...words: (string | number)[]) => digest(...words).readUInt32LE() / 2 ** 32;

function sampled({ user, item, time }: Review, { sample, seed }: PairSettings): boolean {
  return sample >= 1 || draw(seed, 'sample', user, item, time) < sample;
}

/** A user's reviews are all in one split: what a user writes about one item tells of what he writes about others. */
function splitOf(user: string, { seed, valid, test }: PairSettings): SplitName {
  const u = draw(seed, 'split', user);
  return splitNames[u < valid ? 1 : u < valid + test ? 2 : 0];
}

const BLOCK = 1 << 20;

/** Writes lines to a file a block at a time; zipped, each block is a member of its own of the archive. */
class LineWriter {
  readonly #file: number;
  readonly #zipped: boolean;
  #pending = '';

  constructor(path: string, zipped: boolean) {
    this.#file = openSync(path, 'wx');
    this.#zipped = zipped;
  }

  write(line: string): void {
    this.#pending += `${line}\n`;
    if (this.#pending.length >= BLOCK) this.#flush();
  }

  #flush(): void {
    const bytes = Buffer.from(this.#pending, 'utf8');
    writeFileSync(this.#file, this.#zipped ? gzipSync(bytes) : bytes);
    this.#pending = '';
  }

  /** Flushes to the disk. */
  close(): void {
    try {
      if (this.#pending) this.#flush();
      fsyncSync(this.#file);
    } finally {
      closeSync(this.#file);
    }
  }
}
