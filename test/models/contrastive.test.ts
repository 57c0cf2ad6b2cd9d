import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { tf } from '../../engine/index.ts';
import { contrastiveLoss } from '../../models/contrastive.ts';

/** The same in plain loops and double precision. */
function plainly(
  a: number[][],
  b: number[][],
  targets: number[],
  weight: number[],
  temperature: number,
): number {
  const dot = (x: number[], y: number[]) => x.reduce((sum, v, i) => sum + v * y[i], 0);
  let loss = 0;
  for (let i = 0; i < a.length; i++) {
    if (!weight[i]) continue;
    let negatives = 0;
    for (let j = 0; j < b.length; j++)
      if (j !== i && weight[j] && targets[j] !== targets[i])
        negatives += Math.exp(dot(a[i], b[j]) / temperature);
    const own = Math.exp(dot(a[i], b[i]) / temperature);
    loss -= weight[i] * Math.log(own / (own + negatives));
  }
  return loss;
}

function random(rows: number, d: number, seed: number): number[][] {
  const { normal } = seeded('contrastive', seed);
  return Array.from({ length: rows }, () => {
    const row = Array.from({ length: d }, normal);
    const length = Math.hypot(...row);
    return row.map((x) => x / length);
  });
}

const loss = (a: number[][], b: number[][], targets: number[], weight: number[], temperature: number) =>
  tf.tidy(
    () =>
      contrastiveLoss(
        tf.tensor2d(a),
        tf.tensor2d(b),
        tf.tensor1d(targets, 'int32'),
        tf.tensor1d(weight),
        temperature,
      ).dataSync()[0],
  );

test('others of the batch are negatives, but for those of the same target and for filling', () => {
  for (const [targets, weight] of [
    [
      [1, 2, 3, 4, 5],
      [0.2, 0.2, 0.2, 0.2, 0.2],
    ],
    [
      [1, 2, 1, 4, 1],
      [0.2, 0.2, 0.2, 0.2, 0.2],
    ],
    [
      [1, 2, 3, 0, 0],
      [1 / 3, 1 / 3, 1 / 3, 0, 0],
    ],
    // A real target 0, which filling has too.
    [
      [0, 2, 0, 0, 0],
      [1 / 3, 1 / 3, 1 / 3, 0, 0],
    ],
  ]) {
    const [a, b] = [random(5, 4, 1), random(5, 4, 2)];
    const expected = plainly(a, b, targets, weight, 0.07);
    assert.ok(Math.abs(loss(a, b, targets, weight, 0.07) - expected) < 1e-5 * expected);
  }
});

test('by hand: orthogonal vectors, each its own match', () => {
  const eye = [
    [1, 0],
    [0, 1],
  ];
  // -log(e / (e + 1)) for both rows.
  assert.ok(Math.abs(loss(eye, eye, [1, 2], [0.5, 0.5], 1) - Math.log(1 + Math.exp(-1))) < 1e-6);
  assert.ok(Math.abs(loss(eye, eye, [7, 7], [0.5, 0.5], 1)) < 1e-6);
});

test.run();
