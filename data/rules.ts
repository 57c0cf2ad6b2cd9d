import type { Random } from '../common/random.ts';
import type { Interactions } from './table.ts';

/** Each rule is a function of interactions alone; none changes its argument. */

/** The interactions at these positions, in this order. */
export function select(interactions: Interactions, positions: Int32Array): Interactions {
  const n = positions.length;
  const chosen: Interactions = {
    user: new Int32Array(n),
    item: new Int32Array(n),
    time: new Float64Array(n),
    split: interactions.split && new Uint8Array(n),
  };
  for (let i = 0; i < n; i++) {
    const at = positions[i];
    chosen.user[i] = interactions.user[at];
    chosen.item[i] = interactions.item[at];
    chosen.time[i] = interactions.time[at];
    if (chosen.split && interactions.split) chosen.split[i] = interactions.split[at];
  }
  return chosen;
}

/** Positions that `keep` accepts, ascending. */
function positionsWhere(n: number, keep: (position: number) => boolean): Int32Array {
  const positions = new Int32Array(n);
  let count = 0;
  for (let i = 0; i < n; i++) if (keep(i)) positions[count++] = i;
  return positions.slice(0, count);
}

/** Times in ms: where the latest is below 1e11 (which is 1973 in ms, the year 5138 in s) they were in seconds. */
export function timesInMilliseconds(time: Float64Array): { time: Float64Array; wereSeconds: boolean } {
  let latest = 0;
  for (let i = 0; i < time.length; i++) if (time[i] > latest) latest = time[i];
  if (latest === 0 || latest >= 1e11) return { time, wereSeconds: false };
  return { time: time.map((seconds) => seconds * 1000), wereSeconds: true };
}

/** Of several interactions of one user with one item, the earliest; of equally early ones, the first in the file. */
export function dedupe(interactions: Interactions): Interactions {
  const { user, item, time } = interactions;
  const kept = new Uint8Array(user.length);
  const { order, offset } = groupBy(user);
  const best = new Map<number, number>();
  for (let u = 0; u + 1 < offset.length; u++) {
    best.clear();
    for (let k = offset[u]; k < offset[u + 1]; k++) {
      const at = order[k];
      const before = best.get(item[at]);
      if (before === undefined || time[at] < time[before]) best.set(item[at], at);
    }
    for (const at of best.values()) kept[at] = 1;
  }
  return select(
    interactions,
    positionsWhere(user.length, (i) => kept[i] === 1),
  );
}

/** Positions grouped by key, ascending within a group: group g is `order[offset[g]..offset[g + 1])`. */
export function groupBy(keys: Int32Array): { order: Int32Array; offset: Int32Array } {
  let largest = -1;
  for (let i = 0; i < keys.length; i++) if (keys[i] > largest) largest = keys[i];
  const offset = new Int32Array(largest + 2);
  for (let i = 0; i < keys.length; i++) offset[keys[i] + 1]++;
  for (let g = 0; g <= largest; g++) offset[g + 1] += offset[g];
  const next = offset.slice();
  const order = new Int32Array(keys.length);
  for (let i = 0; i < keys.length; i++) order[next[keys[i]]++] = i;
  return { order, offset };
}

/** Keeps users and items with at least k interactions, again and again until all have them. */
export function kCore(interactions: Interactions, k: number): Interactions {
  let kept = interactions;
  for (;;) {
    const users = countsOf(kept.user);
    const items = countsOf(kept.item);
    const { user, item } = kept;
    const positions = positionsWhere(user.length, (i) => users[user[i]] >= k && items[item[i]] >= k);
    if (positions.length === user.length) return kept;
    kept = select(kept, positions);
  }
}

/** How often each number occurs. */
export function countsOf(numbers: Int32Array): Int32Array {
  let largest = -1;
  for (let i = 0; i < numbers.length; i++) if (numbers[i] > largest) largest = numbers[i];
  const counts = new Int32Array(largest + 1);
  for (let i = 0; i < numbers.length; i++) counts[numbers[i]]++;
  return counts;
}

/**
 * Users in order of their numbers, each user's interactions by time. Equal times keep the order given, or, where
 * `random` is given, a random one.
 */
export function sortByUserAndTime(interactions: Interactions, random?: Random): Interactions {
  const { user, time } = interactions;
  const { order, offset } = groupBy(user);
  const tie = random && Float64Array.from({ length: user.length }, () => random.uniform());
  for (let u = 0; u + 1 < offset.length; u++)
    order
      .subarray(offset[u], offset[u + 1])
      .sort((a, b) => time[a] - time[b] || (tie ? tie[a] - tie[b] : 0) || a - b);
  return select(interactions, order);
}

/** Train < t1 <= valid < t2 <= test. */
export function splitByTimestamp(time: Float64Array, [t1, t2]: readonly [number, number]): Uint8Array {
  return Uint8Array.from(time, (t) => (t >= t2 ? 2 : t >= t1 ? 1 : 0));
}

/** A user's last interaction is test, the one before valid, the others train. `user` must be grouped. */
export function splitLeaveLastOut(user: Int32Array): Uint8Array {
  const n = user.length;
  const split = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    if (i + 1 === n || user[i + 1] !== user[i]) split[i] = 2;
    else if (i + 2 === n || user[i + 2] !== user[i]) split[i] = 1;
  }
  return split;
}

/** Interactions whose item passes. */
export function keepItems(interactions: Interactions, passes: (item: number) => boolean): Interactions {
  const { item } = interactions;
  return select(
    interactions,
    positionsWhere(item.length, (i) => passes(item[i])),
  );
}
