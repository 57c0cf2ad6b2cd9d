import { UsageError, UserError } from '../common/errors.ts';
import type { Progress } from '../common/progress.ts';
import type { Database } from './database.ts';
import type { Manifest } from './dataset.ts';
import { prepareHistories } from './histories.ts';
import { writeItems } from './items.ts';
import { Loader } from './load.ts';
import type { InteractionReading, Reading } from './readers/layout.ts';
import { Rules, sequencesInOrder } from './rules.ts';
import type { DataSettings } from './settings.ts';
import { metadataNote, noRowsLeft, type PrepareContext, type Prepared, Steps } from './steps.ts';
import { type StoreWriter, writeStore } from './store.ts';
import { type BadRows, splitNames } from './table.ts';

/**
 * Reads what a layout describes, applies the rules, in this order: dedupe, k-core, sort, split, items without metadata,
 * empty histories, numbering; and writes the dataset. Rows with histories of their own are taken as the files split them.
 * @throws UserError where nothing is left to train on or to evaluate.
 */
export async function prepare(reading: Reading, context: PrepareContext): Promise<Prepared> {
  return 'rows' in reading ? prepareHistories(reading, context) : prepareInteractions(reading, context);
}

/**
 * Reads interactions, numbers users and items, and applies the rules that come before the split.
 * @throws UserError where nothing is left.
 */
export async function openInteractions(reading: InteractionReading, context: PrepareContext) {
  const { database, settings, seed, bad, progress } = context;
  const loader = await Loader.open(database, bad, progress);
  const read = await loader.interactions(reading.interactions);
  const badRows = bad.total;
  const items = reading.items && (await loader.items(reading.items.files));
  if (!read) throw new UserError(emptyMessage(reading, bad));
  progress.begin('prepare', 'steps');
  const steps = new Steps();
  const rules = new Rules(database, steps.add);
  await choose(rules, settings, seed, badRows);
  return { rules, items, steps };
}

async function prepareInteractions(reading: InteractionReading, context: PrepareContext): Promise<Prepared> {
  const { database, settings, progress } = context;
  const { rules, items, steps } = await openInteractions(reading, context);
  await split(rules, settings, isSplit(reading));
  if (items && reading.items?.complete) await rules.dropUndescribed(metadataNote(items));
  if (reading.candidates) await database.list('listed', reading.candidates);
  const counts = await arrange(rules, reading.candidates !== undefined);
  await requireRows(counts, database, settings, steps);
  const times = await rules.times();
  progress.end();
  await writeStore(context.folder, { ...counts, pool: counts.interactions }, async (writer) => {
    await writeRows(database, writer, counts.interactions, progress);
    const withText = await writeItems(database, writer, counts.items, {
      ...context,
      described: items !== undefined,
    });
    if (items) steps.add('items with a text', 'items', counts.items, withText);
  });
  const ties = settings.ties === 'random' ? 'random order' : 'file order';
  return { steps: steps.list, ties, times, counts };
}

/**
 * The rules that come before the split.
 * @throws UserError where nothing is left.
 */
export async function choose(
  rules: Rules,
  { dedupe, kcore, ties }: DataSettings,
  seed: number,
  badRows: number,
): Promise<void> {
  await rules.number(badRows);
  if (dedupe) await rules.dedupe();
  if (kcore > 0) await rules.kCore(kcore);
  if (!rules.left) throw new UserError(`no interactions are left after the ${kcore}-core; lower data.kcore.`);
  if (ties === 'random') await rules.shuffle(seed);
}

/**
 * Assigns interactions to train, valid and test, as the settings say.
 * @param inFiles whether the files have a split
 */
export async function split(rules: Rules, settings: DataSettings, inFiles: boolean): Promise<void> {
  if (settings.split === 'timestamp') return rules.splitByTimestamp(settings.timestamps);
  if (settings.split === 'files' && !inFiles)
    throw new UsageError(
      'data.split=files needs a source with train, valid and test files; this one has none.',
    );
  if (settings.split === 'files' || (settings.split === 'auto' && inFiles)) return rules.keepSplit();
  return rules.splitLeaveLastOut();
}

export const isSplit = ({ interactions }: InteractionReading): boolean =>
  interactions.every((file) => file.split !== undefined);

/**
 * The rules that make rows of what is left, and number users and items.
 * @param listed whether the table `listed` has the candidates
 */
export async function arrange(rules: Rules, listed: boolean): Promise<Manifest['counts']> {
  await rules.sequence();
  await rules.numberUsers();
  if (listed) await rules.takeListedItems();
  else await rules.numberItems();
  return rules.counts();
}

function emptyMessage(reading: InteractionReading, bad: BadRows): string {
  const first = bad.list()[0];
  const why = first
    ? ` ${bad.total} could not be read; the first: line ${first.lines[0]}: ${first.reason}.`
    : '';
  return `${reading.interactions[0].source.path}: no usable interactions.${why}`;
}

/** @throws UserError where a split has no rows. */
async function requireRows(
  counts: Manifest['counts'],
  database: Database,
  { split, timestamps }: DataSettings,
  steps: Steps,
): Promise<void> {
  const missing = splitNames.filter((name) => !counts[name]);
  if (missing.length === 3) throw noRowsLeft(steps);
  if (!missing.length) return;
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  const [first, last] = await database.numbers('SELECT min(time), max(time) FROM interactions');
  const hint =
    split === 'timestamp'
      ? ` The data run from ${day(first)} to ${day(last)}, data.timestamps are ${timestamps.map(day).join(' and ')}; set other times or data.split=leave-last-out.`
      : '';
  throw new UserError(`the split leaves no ${missing.join(' and no ')} rows.${hint}`);
}

/** Writes the pool, which is the users' items one after the other, and the rows of every split over it. */
async function writeRows(
  database: Database,
  writer: StoreWriter,
  total: number,
  progress: Progress,
): Promise<void> {
  progress.begin('write rows', 'interactions', total);
  let user = -1;
  let start = 0;
  let at = 0;
  for await (const { rows, columns } of database.blocks(sequencesInOrder)) {
    const [users, items, splits] = columns as number[][];
    for (let i = 0; i < rows; i++, at++) {
      if (users[i] === user) {
        const { user: ofRow, start: from, end, target } = writer.rows[splitNames[splits[i]]];
        ofRow.push(user);
        from.push(start);
        end.push(at);
        target.push(items[i]);
      } else {
        user = users[i];
        start = at;
      }
      writer.pool.push(items[i]);
    }
    progress.advance(at, total);
  }
  progress.end();
}
