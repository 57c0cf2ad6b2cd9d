import { UsageError, UserError } from '../common/errors.ts';
import type { Rows } from './dataset.ts';
import { writeItems } from './items.ts';
import { Loader } from './load.ts';
import type { HistoryReading } from './readers/layout.ts';
import { itemsInOrderOfAppearance, keepItemsOfHistories, type PooledRows, rowsOfHistories } from './rows.ts';
import {
  metadataNote,
  noRowsLeft,
  type PrepareContext,
  type Prepared,
  Steps,
  WITHOUT_METADATA,
} from './steps.ts';
import { columns, writeStore } from './store.ts';
import { type HistoryRows, type SplitName, splitNames } from './table.ts';

/**
 * Prepares rows that bring their histories, as the files split them.
 * @throws UserError where no row is left.
 */
export async function prepareHistories(reading: HistoryReading, context: PrepareContext): Promise<Prepared> {
  const { database, settings, bad, progress } = context;
  if (settings.kcore > 0)
    throw new UsageError(
      `data.kcore=${settings.kcore} cannot be applied to rows that bring their histories; set data.split to leave-last-out or timestamp as well (where the files have timestamps).`,
    );
  const read = sizeOf(reading.rows);
  const badRows = bad.total;
  const loader = await Loader.open(database, bad, progress);
  const items = reading.items && (await loader.items(reading.items.files));
  if (!read) throw new UserError(`${reading.path}: no usable rows.`);
  progress.begin('prepare', 'steps');
  const steps = new Steps();
  steps.add('read rows with histories', 'rows', read + badRows, read);
  let kept = reading.rows;
  if (items && reading.items?.complete) {
    const has = await describedItems(reading.names, context);
    kept = {
      train: keepItemsOfHistories(kept.train, has),
      valid: keepItemsOfHistories(kept.valid, has),
      test: keepItemsOfHistories(kept.test, has),
    };
    steps.add(WITHOUT_METADATA, 'rows', read, sizeOf(kept), metadataNote(items));
  }
  const pooled = rowsOfHistories(kept);
  steps.add('drop rows with an empty history', 'rows', sizeOf(kept), sizeOf(kept) - pooled.emptyHistories);
  if (splitNames.every((split) => !pooled.rows[split].target.length)) throw noRowsLeft(steps);
  const order = reading.candidates ?? itemsInOrderOfAppearance(pooled, reading.names.length);
  const note = reading.candidates
    ? "the source's own list, in its order"
    : 'those of the rows, in order of first appearance (train, valid, test; a target before its history)';
  steps.add('candidate items', 'items', reading.names.length, order.length, note);
  await database.list(
    'candidates',
    Array.from(order, (item) => reading.names[item]),
  );
  const { pool, rows, users } = renumbered(pooled, order, reading);
  const counts = { users, items: order.length, interactions: interactionsOf(rows), ...sizesOf(rows) };
  await writeStore(context.folder, { ...counts, pool: pool.length }, async (writer) => {
    for (const item of pool) writer.pool.push(item);
    for (const split of splitNames)
      for (const column of columns)
        for (const value of rows[split][column]) writer.rows[split][column].push(value);
    progress.end();
    const withText = await writeItems(database, writer, counts.items, {
      ...context,
      described: items !== undefined,
    });
    if (items) steps.add('items with a text', 'items', counts.items, withText);
  });
  return { steps: steps.list, ties: "the files' histories", counts };
}

const sizeOf = (rows: Record<SplitName, HistoryRows>): number =>
  splitNames.reduce((sum, split) => sum + rows[split].user.length, 0);

const sizesOf = ({ train, valid, test }: Record<SplitName, Rows>) => ({
  train: train.target.length,
  valid: valid.target.length,
  test: test.target.length,
});

/** Rows, and the first item of every sequence, which is no row's target. */
function interactionsOf(rows: Record<SplitName, Rows>): number {
  return splitNames.reduce((sum, split) => {
    const { start, end, target } = rows[split];
    return sum + target.length + start.filter((s, i) => end[i] - s === 1).length;
  }, 0);
}

/** Tests a reader's item for metadata. */
async function describedItems(names: readonly string[], { database }: PrepareContext) {
  await database.list('named', names);
  const has = new Uint8Array(names.length);
  for await (const { columns } of database.blocks(
    'SELECT item_number FROM named JOIN described USING (item_name)',
  ))
    for (const number of columns[0] as number[]) has[number] = 1;
  return (item: number): boolean => has[item] === 1;
}

/** Items by their place in `order`, users in order of first appearance. */
function renumbered({ pool, rows }: PooledRows, order: Int32Array, { names, userCount }: HistoryReading) {
  const newItem = new Int32Array(names.length).fill(-1);
  order.forEach((item, id) => {
    newItem[item] = id;
  });
  const newUser = new Int32Array(userCount).fill(-1);
  let users = 0;
  const renumber = ({ user, start, end, target }: Rows): Rows => {
    for (const u of user) if (newUser[u] < 0) newUser[u] = users++;
    return { user: user.map((u) => newUser[u]), start, end, target: target.map((item) => newItem[item]) };
  };
  const [train, valid, test] = splitNames.map((split) => renumber(rows[split]));
  return { pool: pool.map((item) => newItem[item]), rows: { train, valid, test }, users };
}
