import { UsageError, UserError } from '../common/errors.ts';
import { seeded } from '../common/random.ts';
import type { Dataset, Manifest, Rows } from './dataset.ts';
import {
  itemsInOrderOfAppearance,
  keepItemsOfHistories,
  type PooledRows,
  rowsOfHistories,
  rowsOfInteractions,
} from './rows.ts';
import {
  countsOf,
  dedupe,
  kCore,
  keepItems,
  sortByUserAndTime,
  splitByTimestamp,
  splitLeaveLastOut,
  timesInMilliseconds,
} from './rules.ts';
import type { DataSettings } from './settings.ts';
import {
  type HistoryRows,
  type Interactions,
  type ItemTexts,
  type Reading,
  type SplitName,
  splitNames,
} from './table.ts';

/** What preparation adds to a manifest, and the arrays of the dataset. */
export interface Prepared extends Pick<Dataset, 'itemCount' | 'userCount' | 'itemIds' | 'pool' | SplitName> {
  itemTexts?: readonly string[];
  steps: Manifest['steps'];
  ties: string;
  counts: Manifest['counts'];
}

/**
 * Applies the rules to what a reader read, in this order: dedupe, k-core, sort, split, items without metadata, empty
 * histories, numbering. Rows with histories of their own are taken as the files split them.
 * @param check called between the rules; may throw to stop.
 * @throws UserError where nothing is left to train on or to evaluate.
 */
export function prepare(
  reading: Reading,
  settings: DataSettings,
  seed: number,
  check: () => void = () => {},
): Prepared {
  const steps = new Steps(check);
  const pooled = reading.rows
    ? pooledFromHistories(reading, reading.rows, settings, steps)
    : pooledFromInteractions(reading, settings, seed, steps);
  if (splitNames.every((split) => !pooled.rows[split].target.length))
    throw new UserError('no rows are left: every history is empty after the rules of preparation.');
  return number(reading, pooled, steps, tiesName(reading, settings));
}

/** Gathers the manifest's entries. */
class Steps {
  readonly list: Manifest['steps'] = [];
  readonly #check: () => void;

  constructor(check: () => void) {
    this.#check = check;
  }

  /** An entry has no key `note` where there is no note, so that it equals itself after JSON. */
  add(rule: string, unit: string, before: number, after: number, note?: string): void {
    this.#check();
    this.list.push({ rule, unit, in: before, out: after, ...(note !== undefined && { note }) });
  }
}

function tiesName(reading: Reading, settings: DataSettings): string {
  if (reading.rows) return "the files' histories";
  return settings.ties === 'random' ? 'random order' : 'file order';
}

function pooledFromInteractions(
  reading: Reading,
  settings: DataSettings,
  seed: number,
  steps: Steps,
): PooledRows {
  let kept = reading.interactions as Interactions;
  const record = (rule: string, next: Interactions, note?: string): void => {
    steps.add(rule, 'interactions', kept.user.length, next.user.length, note);
    kept = next;
  };
  const count = kept.user.length;
  const { time, wereSeconds } = timesInMilliseconds(kept.time);
  kept = { ...kept, time };
  const note = wereSeconds ? 'timestamps were in seconds' : undefined;
  steps.add('read interactions', 'rows', count + reading.badRows, count, note);
  if (settings.dedupe) record('keep the earliest of a user and an item', dedupe(kept));
  if (settings.kcore > 0)
    record(`${settings.kcore}-core`, kCore(kept, settings.kcore), coreNote(kept, settings));
  if (!kept.user.length)
    throw new UserError(`no interactions are left after the ${settings.kcore}-core; lower data.kcore.`);
  kept = sortByUserAndTime(kept, settings.ties === 'random' ? seeded(seed, 'ties') : undefined);
  const split = assignSplit(kept, settings, steps);
  kept = { ...kept, split };
  const has = metadataTest(reading);
  if (has) record('drop items without metadata', keepItems(kept, has), metadataNote(reading.texts));
  const pooled = rowsOfInteractions(kept as Required<Interactions>);
  recordEmpty(steps, kept.user.length, pooled.emptyHistories);
  requireSplits(pooled, kept, settings);
  return pooled;
}

function coreNote(before: Interactions, { kcore }: DataSettings): string {
  const few = (ids: Int32Array): number => countsOf(ids).filter((n) => n > 0 && n < kcore).length;
  return `at first ${few(before.user)} users and ${few(before.item)} items had fewer than ${kcore}`;
}

function assignSplit(kept: Interactions, settings: DataSettings, steps: Steps): Uint8Array {
  const n = kept.user.length;
  if (settings.split === 'timestamp') {
    const [t1, t2] = settings.timestamps;
    steps.add('split by timestamp', 'interactions', n, n, `t1 ${t1}, t2 ${t2} (ms)`);
    return splitByTimestamp(kept.time, settings.timestamps);
  }
  if (settings.split === 'files' || (settings.split === 'auto' && kept.split)) {
    if (!kept.split)
      throw new UsageError(
        'data.split=files needs a source with train, valid and test files; this one has none.',
      );
    steps.add("the files' split", 'interactions', n, n);
    return kept.split;
  }
  const short = countsOf(kept.user).filter((length) => length > 0 && length < 3).length;
  const note = short
    ? `${short} users have fewer than 3 interactions and lack a train or valid one`
    : undefined;
  steps.add('split leave-last-out', 'interactions', n, n, note);
  return splitLeaveLastOut(kept.user);
}

function pooledFromHistories(
  reading: Reading,
  source: Record<SplitName, HistoryRows>,
  settings: DataSettings,
  steps: Steps,
): PooledRows {
  if (settings.kcore > 0)
    throw new UsageError(
      `data.kcore=${settings.kcore} cannot be applied to rows that bring their histories; set data.split to leave-last-out or timestamp as well (where the files have timestamps).`,
    );
  const size = (rows: Record<SplitName, HistoryRows>): number =>
    splitNames.reduce((sum, split) => sum + rows[split].user.length, 0);
  steps.add('read rows with histories', 'rows', size(source) + reading.badRows, size(source));
  let kept = source;
  const has = metadataTest(reading);
  if (has) {
    kept = {
      train: keepItemsOfHistories(source.train, has),
      valid: keepItemsOfHistories(source.valid, has),
      test: keepItemsOfHistories(source.test, has),
    };
    const note = metadataNote(reading.texts);
    steps.add('drop items without metadata', 'rows', size(source), size(kept), note);
  }
  const pooled = rowsOfHistories(kept);
  recordEmpty(steps, size(kept), pooled.emptyHistories);
  return pooled;
}

/** Tests a reader's item for metadata; undefined where the source does not claim to describe every item. */
function metadataTest({ texts, items }: Reading): ((item: number) => boolean) | undefined {
  if (!texts?.complete) return undefined;
  const has = Uint8Array.from(items.names, (name) => (texts.texts.has(name) ? 1 : 0));
  return (item) => has[item] === 1;
}

function metadataNote(texts: ItemTexts | undefined): string | undefined {
  if (!texts) return undefined;
  const parts = [`${texts.rows} metadata rows`];
  if (texts.duplicates) parts.push(`${texts.duplicates} repeated an item (the first counts)`);
  if (texts.brokenTags)
    parts.push(`${texts.brokenTags} titles were the start of an HTML tag (taken as missing)`);
  return parts.join(', ');
}

function recordEmpty(steps: Steps, rows: number, empty: number): void {
  steps.add('drop rows with an empty history', 'rows', rows, rows - empty);
}

function requireSplits(pooled: PooledRows, kept: Interactions, settings: DataSettings): void {
  const missing = splitNames.filter((split) => !pooled.rows[split].target.length);
  if (!missing.length || missing.length === 3) return;
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  const [first, last] = kept.time.reduce(
    ([a, b], t) => [Math.min(a, t), Math.max(b, t)],
    [Infinity, -Infinity],
  );
  const hint =
    settings.split === 'timestamp'
      ? ` The data run from ${day(first)} to ${day(last)}, data.timestamps are ${settings.timestamps.map(day).join(' and ')}; set other times or data.split=leave-last-out.`
      : '';
  throw new UserError(`the split leaves no ${missing.join(' and no ')} rows.${hint}`);
}

/** Renumbers items and users densely and makes the arrays of a dataset. */
function number(reading: Reading, pooled: PooledRows, steps: Steps, ties: string): Prepared {
  const names = reading.items.names;
  const order = reading.candidates ?? itemsInOrderOfAppearance(pooled, names.length);
  const newItem = new Int32Array(names.length).fill(-1);
  order.forEach((item, id) => {
    newItem[item] = id;
  });
  const note = reading.candidates
    ? "the source's own list, in its order"
    : 'those of the rows, in order of first appearance (train, valid, test; a target before its history)';
  steps.add('candidate items', 'items', names.length, order.length, note);
  const itemIds = Array.from(order, (item) => names[item]);
  const itemTexts = reading.texts && itemIds.map((id) => reading.texts?.texts.get(id) ?? '');
  if (itemTexts) {
    const withText = itemTexts.filter(Boolean).length;
    steps.add('items with a text', 'items', order.length, withText);
  }
  const newUser = new Int32Array(reading.users.names.length).fill(-1);
  let userCount = 0;
  const renumber = ({ user, start, end, target }: Rows): Rows => {
    for (const u of user) if (newUser[u] < 0) newUser[u] = userCount++;
    return { user: user.map((u) => newUser[u]), start, end, target: target.map((item) => newItem[item]) };
  };
  const train = renumber(pooled.rows.train);
  const valid = renumber(pooled.rows.valid);
  const test = renumber(pooled.rows.test);
  const all = [train, valid, test];
  const rows = all.reduce((sum, { target }) => sum + target.length, 0);
  const firsts = all.reduce(
    (sum, { start, end }) => sum + start.filter((s, i) => end[i] - s === 1).length,
    0,
  );
  return {
    itemCount: order.length,
    userCount,
    itemIds,
    itemTexts,
    pool: pooled.pool.map((item) => newItem[item]),
    train,
    valid,
    test,
    steps: steps.list,
    ties,
    counts: {
      users: userCount,
      items: order.length,
      interactions: rows + firsts,
      train: train.target.length,
      valid: valid.target.length,
      test: test.target.length,
    },
  };
}
