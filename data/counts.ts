import type { Dataset, Rows } from './dataset.ts';

/** How often each item occurs in training interactions, [itemCount]: what popularity means here. */
export function trainingCounts({ itemCount, pool, train }: Dataset): Int32Array {
  const counts = new Int32Array(itemCount);
  const first = new Set<number>();
  for (let i = 0; i < train.target.length; i++) {
    counts[train.target[i]]++;
    // A sequence's first item is no row's target, but its interaction is a training one.
    if (train.end[i] - train.start[i] === 1 && !first.has(train.start[i])) {
      first.add(train.start[i]);
      counts[pool[train.start[i]]]++;
    }
  }
  return counts;
}

/** How many of the rows have each item as their target, [itemCount]. */
export function targetCounts({ target }: Rows, itemCount: number): Int32Array {
  const counts = new Int32Array(itemCount);
  for (const item of target) counts[item]++;
  return counts;
}
