import type { Random } from '../../common/random.ts';

/** What masking needs to know of a vocabulary. */
export interface MaskingVocabulary {
  size: number;
  maskId: number;
  /** Tokens that are never masked: `<s>`, `<pad>`, `</s>`. */
  special: ReadonlySet<number>;
}

/** Tokens with some of them masked, and what stood there. */
export interface MaskedTokens {
  /** [batch * length] */
  ids: Int32Array;
  /** Places of the masked tokens in `ids`, in order, and the tokens that stood there. */
  positions: Int32Array;
  targets: Int32Array;
  /** How many of these there are; the rest of the two arrays is 0. */
  count: number;
}

/** Of the chosen tokens 80% become `<mask>`, 10% a random token, 10% stay (Devlin et al. 2019, section 3.1). */
const [MASKED, REPLACED] = [0.8, 0.9];

/** How many of n tokens may be masked: five standard deviations above the mean, in steps of 32. */
export function maskCapacity(tokens: number, probability: number): number {
  const most = probability * tokens + 5 * Math.sqrt(probability * (1 - probability) * tokens);
  return Math.max(32, Math.ceil(most / 32) * 32);
}

/**
 * Chooses every token with `probability`, anew at every call (dynamic masking, Liu et al. 2019).
 * @param ids [batch * length]
 */
export function maskTokens(
  ids: Int32Array,
  { size, maskId, special }: MaskingVocabulary,
  probability: number,
  random: Random,
): MaskedTokens {
  const capacity = maskCapacity(ids.length, probability);
  const masked = ids.slice();
  const positions = new Int32Array(capacity);
  const targets = new Int32Array(capacity);
  let count = 0;
  for (let i = 0; i < ids.length && count < capacity; i++) {
    if (special.has(ids[i]) || random.uniform() >= probability) continue;
    positions[count] = i;
    targets[count++] = ids[i];
    const fate = random.uniform();
    if (fate < MASKED) masked[i] = maskId;
    else if (fate < REPLACED) masked[i] = random.below(size);
  }
  return { ids: masked, positions, targets, count };
}
