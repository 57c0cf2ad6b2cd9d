/** The official benchmark and processing scripts of Amazon Reviews 2023, written plainly with objects, to test against. */

export interface Interaction {
  user: string;
  item: string;
  time: number;
}

export interface HistoryRow {
  user: string;
  history: string[];
  target: string;
}

export type Splits = Record<'train' | 'valid' | 'test', HistoryRow[]>;

/** make_inters_in_order: users in order of appearance, sorted by time (stable), repeated items removed. */
function inOrder(interactions: readonly Interaction[]): Map<string, Interaction[]> {
  const users = new Map<string, Interaction[]>();
  for (const one of interactions) users.set(one.user, [...(users.get(one.user) ?? []), one]);
  for (const [user, list] of users) {
    const seen = new Set<string>();
    const sorted = list.toSorted((a, b) => a.time - b.time);
    users.set(
      user,
      sorted.filter(({ item }) => !seen.has(item) && seen.add(item)),
    );
  }
  return users;
}

/** last_out_split.py and timestamp_split.py with histories. */
export function officialSplit(interactions: readonly Interaction[], timestamps?: [number, number]): Splits {
  const splits: Splits = { train: [], valid: [], test: [] };
  for (const [user, list] of inOrder(interactions))
    list.forEach(({ item, time }, i) => {
      const row = { user, history: list.slice(0, i).map((earlier) => earlier.item), target: item };
      if (timestamps)
        splits[time >= timestamps[1] ? 'test' : time >= timestamps[0] ? 'valid' : 'train'].push(row);
      else splits[i === list.length - 1 ? 'test' : i === list.length - 2 ? 'valid' : 'train'].push(row);
    });
  return splits;
}

/** filter_items_wo_metadata, and rows with an empty history removed; histories are not cut here. */
export function officialFilter(splits: Splits, hasMetadata: (item: string) => boolean): Splits {
  const keep = (rows: readonly HistoryRow[]): HistoryRow[] =>
    rows
      .map((row) => ({ ...row, history: hasMetadata(row.target) ? row.history.filter(hasMetadata) : [] }))
      .filter(({ history }) => history.length);
  return { train: keep(splits.train), valid: keep(splits.valid), test: keep(splits.test) };
}

/** remap_id: items in order of appearance, a target before its history. */
export function officialItems(splits: Splits): string[] {
  const items = new Set<string>();
  for (const rows of [splits.train, splits.valid, splits.test])
    for (const { history, target } of rows) for (const item of [target, ...history]) items.add(item);
  return [...items];
}

export function spellOut(rows: readonly HistoryRow[]): string[] {
  return rows.map(({ history, target }) => `${history.join(' ')} > ${target}`);
}
