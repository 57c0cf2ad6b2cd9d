import { UserError } from '../../common/errors.ts';
import { type Feeds, keepsMemory } from '../../engine/index.ts';
import { longestText, type RobertaConfig, robertaShapes } from '../roberta-model.ts';

/** Sequences of one step, in parts of like length. */
export interface Parts {
  /** Each part's `ids` [rows, length] int32 and `mask` [rows, length] float32. */
  feeds: Feeds[];
  /** [sequences] in which row each sequence is, all parts' rows being numbered through. */
  row: Int32Array;
}

/** Texts are padded to a multiple of this. */
const LENGTH_STEP = 16;

/**
 * Sorts sequences by length into parts of `rows` rows, each padded only to its own longest. Rows that fill the last part
 * are all padding.
 */
export function partsOf(sequences: readonly ArrayLike<number>[], rows: number, config: RobertaConfig): Parts {
  const order = [...sequences.keys()].sort((a, b) => sequences[b].length - sequences[a].length || a - b);
  const row = new Int32Array(sequences.length);
  const feeds: Feeds[] = [];
  for (let first = 0; first < order.length; first += rows) {
    const part = order.slice(first, first + rows);
    const longest = LENGTH_STEP * Math.ceil(sequences[part[0]].length / LENGTH_STEP);
    const length = Math.min(longest, longestText(config));
    const shape = [rows, length];
    const ids = new Int32Array(rows * length).fill(config.padId);
    const mask = new Float32Array(rows * length);
    part.forEach((s, r) => {
      ids.set(sequences[s], r * length);
      mask.fill(1, r * length, r * length + sequences[s].length);
      row[s] = first + r;
    });
    feeds.push({
      ids: { dtype: 'int32', shape, data: ids },
      mask: { dtype: 'float32', shape, data: mask },
    });
  }
  return { feeds, row };
}

/**
 * What a sequence takes between its forward and backward pass, as measured: per layer some arrays as wide as the model and
 * as its inner layer, and the attention weights with their dropout. Bytes.
 */
export function activationBytes(length: number, config: RobertaConfig): number {
  const { layers, hiddenSize, innerSize, heads } = config;
  return 4 * length * layers * (14 * hiddenSize + 4 * innerSize + 4 * heads * length);
}

/**
 * Rows of a part, such that a step's activations stay within `bytes`: all sequences in one part where they fit, else parts
 * of like size.
 * @param sequences of a step, each of at most `length` tokens
 * @param eager whether the device is an eager one
 * @throws UserError where not even one sequence fits
 */
export function rowsWithin(
  bytes: number,
  sequences: number,
  length: number,
  config: RobertaConfig,
  eager = false,
): number {
  const each = activationBytes(length, config);
  const share = SHARES[eager ? 'eager' : keepsMemory(externalBytes(config)) ? 'kept' : 'freed'];
  if (sequences * each * share.inOnePart <= bytes) return sequences;
  const most = Math.floor(bytes / (each * share.inParts));
  if (most >= 1) return Math.ceil(sequences / Math.ceil(sequences / most));
  const least = Math.ceil((each * share.inParts) / 2 ** 20);
  throw new UserError(
    `a text of ${length} tokens takes ${least} MB beside the model's own memory; raise train.memoryMb, or lower maxTokens`,
  );
}

/**
 * Memory of a step as a multiple of one part's activations, as measured. Graphs of small models keep theirs for every length
 * of a part: one part has nearly always the greatest length, in the contrastive and the masked pass; sorted parts have four
 * lengths, and are encoded once without gradients besides. Eager devices hold every operation's result until the pass is done.
 */
const SHARES = {
  kept: { inOnePart: 1, inParts: 4.5 },
  freed: { inOnePart: 0.7, inParts: 0.7 },
  eager: { inOnePart: 3, inParts: 3 },
};

/** What the graph of a step reads and writes: parameters and their gradients. */
function externalBytes(config: RobertaConfig): number {
  const sizes = [...robertaShapes(config).values()].map((shape) => shape.reduce((a, b) => a * b, 1));
  return 8 * sizes.reduce((a, b) => a + b, 0);
}
