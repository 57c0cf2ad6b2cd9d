import { z } from 'zod';
import { targetCounts } from '../data/counts.ts';
import { defineBaseline, type TrainingRows } from './contract.ts';

/** Among items with as many votes the more popular one wins: its votes count up to this share more. */
const TIE_BREAK = 1e-5;

const share = z.number().min(0).max(1);

/**
 * What followed the last items of a history in the training rows: the sequential rules of session-based recommendation
 * (Ludewig and Jannach, 2018), with weights that decay exponentially.
 *
 * A training row adds `distanceDecay ** (k - 1)` to the transition from the k-th last item of its history to its target,
 * k = 1..window; so each pair of places in a sequence counts once, although rows share their histories' beginnings.
 * After h_1..h_n, the score of an item is the sum of its transitions from h_i times `decay ** (n - i)`, over the last
 * `recent` items. Items without a vote follow, by popularity. Defaults were chosen on amazon2014-beauty's validation rows.
 */
export default defineBaseline({
  name: 'item-transition',
  summary: 'Item transitions: what followed the last items in other histories, decayed counts; no training',
  config: z.strictObject({
    recent: z.int().positive().default(5).describe('latest items of a history that vote'),
    decay: share.default(0.4).describe("weight of an item's votes, relative to those of the item after it"),
    window: z.int().positive().default(10).describe('most steps from an item to one that it votes for'),
    distanceDecay: share
      .default(0.8)
      .describe('weight of a transition, relative to one that is a step shorter'),
  }),
  fit({ recent, decay, window, distanceDecay }, rows) {
    const { offsets, targets, weights } = countTransitions(rows, window, distanceDecay);
    const counts = targetCounts(rows.train, rows.itemCount);
    const most = counts.reduce((a, b) => Math.max(a, b), 1);
    const votes = new Float64Array(rows.itemCount);
    return {
      // At most 0, below any vote.
      base: Float32Array.from(counts, (count) => count / most - 1),
      rescore(history, scores) {
        const found: number[] = [];
        for (let i = 1, weight = 1; i <= Math.min(recent, history.length); i++, weight *= decay) {
          const item = history[history.length - i];
          for (let at = offsets[item]; at < offsets[item + 1]; at++) {
            const vote = weight * weights[at];
            // A decay of 0, or one that vanishes in rounding, is no vote.
            if (vote > 0 && !votes[targets[at]]) found.push(targets[at]);
            votes[targets[at]] += vote;
          }
        }
        for (const item of found) {
          scores[item] = votes[item] * (1 + (TIE_BREAK * counts[item]) / most);
          votes[item] = 0;
        }
        return found;
      },
    };
  },
});

/** Transitions in compressed rows: those from item i are targets[offsets[i]..offsets[i + 1]), each target once. */
interface Transitions {
  offsets: Int32Array;
  targets: Int32Array;
  weights: Float32Array;
}

function countTransitions(
  { itemCount, pool, train }: TrainingRows,
  window: number,
  decay: number,
): Transitions {
  const reach = (row: number) => Math.max(train.start[row], train.end[row] - window);
  // Every pair of a training row, sorted by its history item: places[i] is where the pairs from item i end.
  const places = new Int32Array(itemCount + 1);
  for (let row = 0; row < train.target.length; row++)
    for (let p = reach(row); p < train.end[row]; p++) places[pool[p] + 1]++;
  for (let item = 0; item < itemCount; item++) places[item + 1] += places[item];
  const pairTargets = new Int32Array(places[itemCount]);
  const pairWeights = new Float32Array(places[itemCount]);
  for (let row = 0; row < train.target.length; row++) {
    for (let p = train.end[row] - 1, weight = 1; p >= reach(row); p--, weight *= decay) {
      const place = places[pool[p]]++;
      pairTargets[place] = train.target[row];
      pairWeights[place] = weight;
    }
  }
  return mergePairs(places, pairTargets, pairWeights, itemCount);
}

/** Adds up the pairs with equal items, in place: what is written never overtakes what is read. */
function mergePairs(
  ends: Int32Array,
  targets: Int32Array,
  weights: Float32Array,
  itemCount: number,
): Transitions {
  const offsets = new Int32Array(itemCount + 1);
  const sums = new Float64Array(itemCount);
  let size = 0;
  for (let item = 0, p = 0; item < itemCount; item++) {
    for (; p < ends[item]; p++) {
      if (!sums[targets[p]]) targets[size++] = targets[p];
      sums[targets[p]] += weights[p];
    }
    offsets[item + 1] = size;
    for (let i = offsets[item]; i < size; i++) {
      weights[i] = sums[targets[i]];
      sums[targets[i]] = 0;
    }
  }
  return { offsets, targets: targets.slice(0, size), weights: weights.slice(0, size) };
}
