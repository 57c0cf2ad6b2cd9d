import { seeded } from '../common/random.ts';
import type { Batch } from './batches.ts';

/** A second view of a batch's histories, under the names that a model's own loss knows. */
export interface AugmentedHistories {
  /** [rows * length], as Batch.history */
  history: Int32Array;
  /** [rows] */
  lengths: Int32Array;
  /** [rows] flat position of each last item. */
  positions: Int32Array;
}

/**
 * Drops every item of a history with probability `rate`, but never all of them (UniSRec's item drop, Hou et al., section
 * 2.3). The draw depends on (seed, step) alone.
 */
export function dropItems(batch: Batch, rate: number, seed: number, step: number): AugmentedHistories {
  const random = seeded(seed, 'drop-items', step);
  const { rows, length } = batch;
  const view: AugmentedHistories = {
    history: new Int32Array(rows * length),
    lengths: new Int32Array(rows),
    positions: new Int32Array(rows),
  };
  for (let row = 0; row < rows; row++) {
    const begin = row * length;
    const size = batch.lengths[row];
    let kept = 0;
    for (let i = 0; i < size; i++) {
      if (random.uniform() >= rate) view.history[begin + kept++] = batch.history[begin + i];
    }
    if (kept === 0) view.history[begin + kept++] = batch.history[begin + random.below(size)];
    view.lengths[row] = kept;
    view.positions[row] = begin + kept - 1;
  }
  return view;
}

/** Drops every word of a text with probability `rate`, but never all of them; the draw depends on (seed, index) alone. */
export function dropWords(text: string, rate: number, seed: number, index: number): string {
  const random = seeded(seed, 'drop-words', index);
  const words = text.split(' ');
  const kept = words.filter(() => random.uniform() >= rate);
  return (kept.length ? kept : [words[random.below(words.length)]]).join(' ');
}
