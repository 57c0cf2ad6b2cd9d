import { seeded } from '../common/random.ts';

/**
 * The paired randomisation test (Fisher, 1935; for rankings: Smucker, Allan and Carterette, 2007): were both systems equal, each
 * difference could as well have the other sign. The p-value is the share of sign patterns whose sum is as far from 0 as
 * the one observed.
 *
 * All patterns are tried where they are no more than `samples`. Otherwise that many are drawn, and the observed one counts among
 * them, so that the test keeps its level (Phipson and Smyth, 2010): p is at least 1 / (samples + 1).
 *
 * @param differences one a pair; they must be independent of one another: sum those of one user first
 * @param seed of the drawn patterns
 * @returns the two-sided p-value; 1 where all differences are 0
 */
export function randomisationTest(
  differences: ArrayLike<number>,
  { samples = 100_000, seed = 1 } = {},
): number {
  // A difference of 0 has the same share in every sum.
  const values = Float64Array.from(differences).filter((x) => x !== 0);
  if (!values.length) return 1;
  const observed = Math.abs(values.reduce((a, b) => a + b, 0));
  // Sums of the same numbers in another order differ in their last bits.
  const atLeast = observed - 1e-12 * values.reduce((a, b) => a + Math.abs(b), 0);
  const all = 2 ** values.length <= samples;
  const random = seeded('randomisation test', seed);
  const sums = new Float64Array(all ? 2 ** values.length : samples);
  for (let first = 0; first < values.length; first += 32)
    addSigned(sums, values.subarray(first, first + 32), all ? (i) => i : () => random.below(2 ** 32));
  let extreme = 0;
  for (const sum of sums) if (Math.abs(sum) >= atLeast) extreme++;
  return all ? extreme / sums.length : (extreme + 1) / (samples + 1);
}

/** Adds up to 32 values to every sum, under the signs that the bits of `signs(i)` give: set where a value is taken off. */
function addSigned(sums: Float64Array, values: Float64Array, signs: (i: number) => number): void {
  // What 8 values come to under each of their 256 patterns, looked up: a fraction of the time that single signs take.
  const [a, b, c, d] = [0, 8, 16, 24].map((first) =>
    Float64Array.from({ length: 256 }, (_, bits) =>
      values.subarray(first, first + 8).reduce((sum, x, i) => sum + ((bits >> i) & 1 ? -x : x), 0),
    ),
  );
  for (let i = 0; i < sums.length; i++) {
    const bits = signs(i);
    sums[i] += a[bits & 255] + b[(bits >>> 8) & 255] + c[(bits >>> 16) & 255] + d[bits >>> 24];
  }
}

/**
 * Adjusts the p-values of tests that are read together so that the chance of any false discovery stays below the level
 * (Holm, 1979).
 * @returns adjusted p-values, in the order given
 */
export function holm(pValues: readonly number[]): number[] {
  const order = [...pValues.keys()].sort((a, b) => pValues[a] - pValues[b]);
  const adjusted = new Array<number>(pValues.length);
  let largest = 0;
  order.forEach((index, rank) => {
    largest = Math.max(largest, Math.min(1, (pValues.length - rank) * pValues[index]));
    adjusted[index] = largest;
  });
  return adjusted;
}
