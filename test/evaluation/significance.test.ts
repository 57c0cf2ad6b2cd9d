import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { holm, randomisationTest } from '../../evaluation/significance.ts';
import { askPython, pythonWith } from '../python.ts';

const near = (actual: number, expected: number, tolerance = 1e-12) =>
  assert.ok(Math.abs(actual - expected) < tolerance, `${actual} is not ${expected}`);

/** The share of sign patterns whose sum is as far from 0, pattern by pattern. */
function bruteForce(differences: readonly number[]): number {
  const observed = Math.abs(differences.reduce((a, b) => a + b, 0));
  let extreme = 0;
  const visit = (i: number, sum: number): void => {
    if (i < differences.length) {
      visit(i + 1, sum + differences[i]);
      visit(i + 1, sum - differences[i]);
    } else if (Math.abs(sum) >= observed - 1e-9) extreme++;
  };
  visit(0, 0);
  return extreme / 2 ** differences.length;
}

/** P(|heads - tails| >= m) in n tosses of a fair coin. */
function signTest(n: number, m: number): number {
  let term = 0.5 ** n;
  let total = 0;
  for (let heads = 0; heads <= n; heads++) {
    if (Math.abs(2 * heads - n) >= m) total += term;
    term *= (n - heads) / (heads + 1);
  }
  return total;
}

test('by hand: 2 of 8 patterns of 1, 2, 3 come to 6 or -6; 4 to 4 or more', () => {
  near(randomisationTest([1, 2, 3]), 2 / 8);
  near(randomisationTest([-1, 2, 3]), 4 / 8);
  near(randomisationTest([-1, -2, -3]), 2 / 8);
  assert.is(randomisationTest([]), 1);
  assert.is(randomisationTest([0, 0]), 1);
  near(randomisationTest([5]), 1);
  near(randomisationTest([1, -1]), 1);
});

test("few pairs: all patterns, as SciPy's permutation_test has them", () => {
  // permutation_test((d,), numpy.sum, permutation_type='samples', n_resamples=numpy.inf).pvalue in SciPy 1.17
  near(randomisationTest([0.3, -0.1, 0.25, 0.4, -0.05, 0.6, 0, 0.1, -0.2, 0.35, 0.15, 0.5]), 0.0283203125);
  const random = seeded('pairs');
  for (let n = 1; n <= 14; n++) {
    // Multiples of 1/8 tie often.
    const differences = Array.from({ length: n }, () => (random.below(17) - 7) / 8);
    near(randomisationTest(differences), bruteForce(differences));
  }
});

test('many pairs: patterns drawn; equal differences make it the sign test', () => {
  for (const [n, positive] of [
    [40, 26],
    [100, 55],
    [333, 190],
    [1000, 535],
  ]) {
    const differences = Array.from({ length: n }, (_, i) => (i < positive ? 0.5 : -0.5));
    const expected = signTest(n, 2 * positive - n);
    const error = Math.sqrt((expected * (1 - expected)) / 100_000);
    near(randomisationTest(differences), expected, 5 * error + 2e-5);
  }
});

test('the order of pairs, pairs without a difference, the scale and the direction do not matter', () => {
  const random = seeded('invariance');
  const differences = Array.from({ length: 12 }, () => random.normal() + 0.4);
  const p = randomisationTest(differences);
  near(randomisationTest(differences.toReversed()), p);
  near(randomisationTest(differences.flatMap((x) => [0, x])), p);
  near(randomisationTest(differences.map((x) => -1000 * x)), p);
  const many = Array.from({ length: 300 }, () => random.normal() + 0.1);
  assert.is(randomisationTest(many), randomisationTest(many), 'the same draw every time');
  near(randomisationTest(many, { seed: 2 }), randomisationTest(many), 0.01);
});

test('p is never 0, and no more than the level under the null hypothesis', () => {
  assert.is(randomisationTest(new Float64Array(200).fill(1), { samples: 999 }), 1 / 1000);
  const random = seeded('level');
  const trials = 600;
  for (const level of [0.05, 0.2]) {
    let rejected = 0;
    for (let i = 0; i < trials; i++) {
      const differences = Array.from({ length: 30 }, () => random.normal());
      if (randomisationTest(differences, { samples: 499, seed: i }) <= level) rejected++;
    }
    near(rejected / trials, level, 4 * Math.sqrt((level * (1 - level)) / trials));
  }
});

test('SciPy finds the same p-values', () => {
  const python = pythonWith('scipy');
  if (!python) return;
  const random = seeded('scipy');
  const cases = [5, 9, 12].map((n) => Array.from({ length: n }, () => random.normal() + 0.5));
  const script = `
import json, sys, numpy
from scipy.stats import permutation_test
print(json.dumps([permutation_test((numpy.array(d),), numpy.sum, permutation_type='samples', n_resamples=numpy.inf).pvalue
                  for d in json.loads(sys.argv[1])]))`;
  const expected = askPython(python, script, JSON.stringify(cases)) as number[];
  for (const [i, differences] of cases.entries()) near(randomisationTest(differences), expected[i]);
});

test("Holm's correction: by hand, and as R's p.adjust", () => {
  // p.adjust(c(.01, .02, .03, .04, .05), 'holm') in R
  assert.equal(
    holm([0.01, 0.02, 0.03, 0.04, 0.05]).map((p) => Number(p.toFixed(10))),
    [0.05, 0.08, 0.09, 0.09, 0.09],
  );
  // The smallest of three three times, the next twice, the largest once; never above 1, never falling.
  for (const [i, p] of holm([0.5, 0.001, 0.03]).entries()) near(p, [0.5, 0.003, 0.06][i]);
  assert.equal(holm([0.9, 0.8]), [1, 1]);
  assert.equal(holm([]), []);
});

test.run();
