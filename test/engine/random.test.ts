import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  compile,
  dropout,
  type Feeds,
  noise,
  type Randomness,
  tf,
  withRandomness,
} from '../../engine/index.ts';
import { drawRandom, dropoutParameters, hash32, streamKey } from '../../engine/random.ts';
import { createArena } from '../../engine/wasm/kernels.ts';

const PLACES: (Randomness & { stream: number })[] = [
  { seed: 0, step: 0, stream: 0 },
  { seed: 1, step: 0, stream: 0 },
  { seed: 0, step: 1, stream: 0 },
  { seed: 0, step: 0, stream: 1 },
  { seed: 2 ** 31 + 5, step: 123456, stream: 37 },
  { seed: 4294967295, step: 2 ** 31, stream: 3 },
];

test('a mask is the same bits in WebAssembly, in its JavaScript fallback and in eager execution', () => {
  const length = 4004;
  for (const place of PLACES) {
    for (const rate of [1e-9, 0.1, 0.5, 0.9, 0.999999]) {
      const expected = drawRandom(
        { kind: 'dropout', shape: [length], rate, stream: place.stream },
        place,
      ).data;
      for (const simd of [true, false]) {
        const { buffer, kernels } = createArena(length * 4 + 32, { simd });
        const { threshold, scale } = dropoutParameters(rate);
        kernels.dropoutMask(16, length, streamKey(place, place.stream), threshold, scale);
        assert.equal(new Float32Array(buffer, 16, length), expected);
        assert.is(new Float32Array(buffer, 16 + length * 4, 4)[0], 0, 'wrote past the end');
      }
    }
  }
});

test('compiled masks and noise are the eager ones, for every seed, step and place in the model', async () => {
  const model = ({ x }: Record<string, tf.Tensor>) => ({
    a: dropout(x, 0.3),
    b: dropout(dropout(x, 0.3), 0.6),
    c: noise([3, 5]),
    d: dropout(tf.reshape(x, [-1]), 0.1),
  });
  const x = { dtype: 'float32' as const, shape: [40, 5], data: new Float32Array(200).fill(2) };
  const compiled = compile(model, { threads: 1 });
  const seen = new Set<string>();
  for (const seed of [0, 1, 77])
    for (const step of [0, 1, 2, 1000]) {
      const actual = await compiled({ x }, { seed, step });
      const expected = withRandomness({ seed, step }, () => model({ x: tf.fill([40, 5], 2) }));
      for (const [name, y] of Object.entries(expected)) {
        const values = await y.data();
        // The compiled step multiplies twice where eager does: only the order of constants may differ.
        for (let i = 0; i < values.length; i++)
          assert.ok(
            Math.abs(actual[name].data[i] - values[i]) <= 1e-6 * Math.abs(values[i]),
            `${name}[${i}]`,
          );
        seen.add(`${name}: ${[...actual[name].data]}`);
      }
    }
  assert.is(seen.size, 4 * 12, 'every draw differs from every other');
  await compiled.close();
});

test('a step can be repeated, out of order', async () => {
  const compiled = compile(() => ({ y: noise([16]) }), { threads: 1 });
  const at = async (step: number) => [...(await compiled({}, { seed: 3, step })).y.data];
  const first = await at(5);
  assert.not.equal(await at(6), first);
  assert.equal(await at(5), first);
  await compiled.close();
});

test('a smaller batch gets the first rows of the mask of a larger one', async () => {
  const compiled = compile(({ x }) => ({ y: dropout(x, 0.5) }), { threads: 1 });
  const mask = async (rows: number) => {
    const feeds: Feeds = {
      x: { dtype: 'float32', shape: [rows, 6], data: new Float32Array(rows * 6).fill(1) },
    };
    return [...(await compiled(feeds, { seed: 9, step: 4 })).y.data];
  };
  assert.equal(await mask(3), (await mask(8)).slice(0, 18));
  await compiled.close();
});

test('eager randomness nests and restarts', () => {
  const draw = () => [...noise([4]).dataSync()];
  const at = { seed: 5, step: 6 };
  const [first, second] = withRandomness(at, () => [draw(), draw()]);
  assert.not.equal(first, second);
  withRandomness(at, () => {
    assert.equal(draw(), first);
    assert.equal(withRandomness(at, draw), first);
    assert.equal(draw(), second);
  });
});

// Statistics: bounds are five standard deviations of what independent draws would give.
const COUNT = 2 ** 18;
const mask = (place: Randomness & { stream: number }, rate: number) =>
  (
    drawRandom({ kind: 'dropout', shape: [COUNT], rate, stream: place.stream }, place).data as Float32Array
  ).map((x) => (x > 0 ? 1 : 0));
const normals = (place: Randomness & { stream: number }) =>
  drawRandom({ kind: 'normal', shape: [COUNT], rate: 0, stream: place.stream }, place).data as Float32Array;

/** Correlation of a[i] with b[i + lag]. */
function correlation(a: Float32Array, b: Float32Array, lag = 0): number {
  const n = a.length - lag;
  const mean = (x: Float32Array) => x.reduce((s, v) => s + v, 0) / x.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [x, y] = [a[i] - ma, b[i + lag] - mb];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / Math.sqrt(aa * bb);
}
const uncorrelated = (a: Float32Array, b: Float32Array, what: string, lag = 0) => {
  const r = correlation(a, b, lag);
  assert.ok(Math.abs(r) < 5 / Math.sqrt(COUNT), `${what}: correlation ${r}`);
};

test('the rate is the rate, in all of a mask and in every residue class of its rows', () => {
  for (const place of PLACES)
    for (const rate of [0.01, 0.1, 0.2, 0.5, 0.9]) {
      const kept = mask(place, rate);
      for (const [stride, offset] of [
        [1, 0],
        [2, 1],
        [64, 7],
        [256, 0],
        [300, 299],
      ]) {
        let [sum, n] = [0, 0];
        for (let i = offset; i < COUNT; i += stride, n++) sum += kept[i];
        const error = sum / n - (1 - rate);
        assert.ok(
          Math.abs(error) < 5 * Math.sqrt((rate * (1 - rate)) / n),
          `rate ${rate}, stride ${stride}: ${error}`,
        );
      }
    }
});

test('neighbouring elements are independent', () => {
  for (const place of PLACES.slice(0, 5)) {
    const kept = mask(place, 0.3);
    for (const lag of [1, 2, 3, 4, 16, 50, 64, 300]) uncorrelated(kept, kept, `lag ${lag}`, lag);
  }
});

test('streams, steps and seeds are independent', () => {
  const at = { seed: 4, step: 10, stream: 2 };
  const first = mask(at, 0.5);
  for (const difference of [1, 2, 3, 8, 1000]) {
    uncorrelated(first, mask({ ...at, stream: at.stream + difference }, 0.5), `streams ${difference} apart`);
    uncorrelated(first, mask({ ...at, step: at.step + difference }, 0.5), `steps ${difference} apart`);
    uncorrelated(first, mask({ ...at, seed: at.seed + difference }, 0.5), `seeds ${difference} apart`);
    uncorrelated(
      first,
      mask({ ...at, step: at.step + difference, stream: at.stream - 1 }, 0.5),
      'a step on, a stream back',
    );
  }
});

test('the keys of 200 steps of 20 streams of 5 seeds are all different', () => {
  const keys = new Set<number>();
  for (let seed = 0; seed < 5; seed++)
    for (let step = 0; step < 200; step++)
      for (let stream = 0; stream < 20; stream++) keys.add(streamKey({ seed, step }, stream));
  // Of 20000 draws out of 2^32, 0.05 pairs agree on average.
  assert.ok(keys.size >= 20000 - 2, `${keys.size}`);
});

test('every bit of the hash is fair', () => {
  const ones = new Uint32Array(32);
  for (let i = 0; i < 2 ** 18; i++) {
    const h = hash32(12345, i);
    for (let bit = 0; bit < 32; bit++) ones[bit] += (h >>> bit) & 1;
  }
  for (const count of ones) assert.ok(Math.abs(count / 2 ** 18 - 0.5) < 5 * 0.5 * 2 ** -9, `${count}`);
});

test('noise is standard normal: moments, tails and independence', () => {
  for (const place of PLACES.slice(0, 5)) {
    const x = normals(place);
    const moment = (p: number) => x.reduce((s, v) => s + v ** p, 0) / COUNT;
    const within = (value: number, expected: number, variance: number, what: string) =>
      assert.ok(Math.abs(value - expected) < 5 * Math.sqrt(variance / COUNT), `${what}: ${value}`);
    within(moment(1), 0, 1, 'mean');
    within(moment(2), 1, 2, 'variance');
    within(moment(3), 0, 15, 'third moment');
    within(moment(4), 3, 96, 'fourth moment');
    const tail = 0.0026998; // P(|x| > 3)
    within(x.filter((v) => Math.abs(v) > 3).length / COUNT, tail, tail, 'beyond three standard deviations');
    for (const lag of [1, 2, 3, 64]) uncorrelated(x, x, `lag ${lag}`, lag);
    const squares = x.map((v) => v * v);
    uncorrelated(squares, squares, 'squares of a pair', 1);
    uncorrelated(x, normals({ ...place, stream: place.stream + 1 }), 'streams');
    uncorrelated(x, normals({ ...place, step: place.step + 1 }), 'steps');
  }
});

test('an odd number of normals is the beginning of an even number', () => {
  const draw = (n: number) => [
    ...drawRandom({ kind: 'normal', shape: [n], rate: 0, stream: 0 }, PLACES[0]).data,
  ];
  assert.equal(draw(7), draw(8).slice(0, 7));
});

test.run();
