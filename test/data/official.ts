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
function inOrder<I extends Interaction>(interactions: readonly I[]): Map<string, I[]> {
  const users = new Map<string, I[]>();
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

/** Says which split the i-th of a user's interactions belongs to. */
type SplitRule<I> = (one: I, i: number, all: readonly I[]) => keyof Splits;

const lastOut: SplitRule<Interaction> = (_one, i, { length }) =>
  i === length - 1 ? 'test' : i === length - 2 ? 'valid' : 'train';

/**
 * last_out_split.py and timestamp_split.py with histories.
 * @param before the interactions before any were left out: users keep the order in which they appear there
 */
export function officialSplit<I extends Interaction>(
  interactions: readonly I[],
  rule: [number, number] | SplitRule<I> = lastOut,
  before: readonly Interaction[] = interactions,
): Splits {
  const splitOf: SplitRule<I> = Array.isArray(rule)
    ? ({ time }) => (time >= rule[1] ? 'test' : time >= rule[0] ? 'valid' : 'train')
    : rule;
  const splits: Splits = { train: [], valid: [], test: [] };
  const sequences = inOrder(interactions);
  for (const user of new Set(before.map((one) => one.user))) {
    const list = sequences.get(user) ?? [];
    list.forEach((one, i) => {
      const history = list.slice(0, i).map((earlier) => earlier.item);
      splits[splitOf(one, i, list)].push({ user, history, target: one.item });
    });
  }
  return splits;
}

/** kcore_filtering: users and items with at least k interactions, until nothing changes; repeats are removed first. */
export function officialKCore(interactions: readonly Interaction[], k: number): Interaction[] {
  const first = new Set([...inOrder(interactions).values()].flat());
  let kept = interactions.filter((one) => first.has(one));
  for (;;) {
    const before = kept;
    kept = before.filter(
      (one) =>
        before.filter(({ user }) => user === one.user).length >= k &&
        before.filter(({ item }) => item === one.item).length >= k,
    );
    if (kept.length === before.length) return kept;
  }
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

/** Users in order of appearance over the rows. */
export function officialUsers(splits: Splits): string[] {
  return [...new Set([...splits.train, ...splits.valid, ...splits.test].map(({ user }) => user))];
}

export function spellOut(rows: readonly HistoryRow[]): string[] {
  return rows.map(({ history, target }) => `${history.join(' ')} > ${target}`);
}
