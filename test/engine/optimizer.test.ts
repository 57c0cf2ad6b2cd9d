import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import {
  cosineSchedule,
  linearSchedule,
  normal,
  Optimizer,
  type OptimizerOptions,
  Parameters,
  tf,
} from '../../engine/index.ts';

const SHAPES: Record<string, number[]> = { a: [3, 5], b: [7], c: [], d: [2, 2, 2] };

function model(options: { simd?: boolean; segmentLimit?: number } = {}) {
  const parameters = new Parameters({ seed: 1, ...options });
  for (const [name, shape] of Object.entries(SHAPES)) parameters.create(name, shape, normal(1));
  return parameters;
}

/** Gradients of one step: some large, some tiny, some zero. */
function writeGradients(parameters: Parameters, step: number): void {
  for (const name of Object.keys(SHAPES)) {
    const random = seeded('gradient', name, step);
    const gradient = parameters.view(name, 'gradient');
    for (let i = 0; i < gradient.length; i++)
      gradient[i] = i % 4 === 3 ? 0 : random.normal() * 10 ** (4 * random.uniform() - 3);
  }
}
const values = (parameters: Parameters) => parameters.all().flatMap((p) => [...p.values]);
const gradients = (parameters: Parameters) =>
  parameters.all().flatMap((p) => [...parameters.view(p.name, 'gradient')]);

function close(actual: number[], expected: number[], tolerance: number): void {
  assert.is(actual.length, expected.length);
  actual.forEach((a, i) => {
    assert.ok(
      Math.abs(a - expected[i]) <= tolerance * (1 + Math.abs(expected[i])),
      `${i}: ${a}, expected ${expected[i]}`,
    );
  });
}

test('adam: 20 steps equal those of tf.train.adam', () => {
  const parameters = model();
  const optimizer = new Optimizer(parameters, { type: 'adam', learningRate: 1e-3 });
  const twins = parameters.all().map((p) => tf.variable(tf.tensor(p.values.slice(), [...p.shape])));
  const reference = tf.train.adam(1e-3, 0.9, 0.999, 1e-8);
  for (let step = 0; step < 20; step++) {
    writeGradients(parameters, step);
    const named = parameters
      .all()
      .map((p, i) => [twins[i].name, tf.tensor(parameters.view(p.name, 'gradient').slice(), [...p.shape])]);
    reference.applyGradients(Object.fromEntries(named));
    optimizer.step();
    close(
      values(parameters),
      twins.flatMap((t) => [...t.dataSync()]),
      1e-6,
    );
  }
  assert.is(optimizer.steps, 20);
});

/** Adam as its paper writes it, in float64, with decoupled decay and clipping. */
class Plain {
  readonly p: number[];
  readonly m: number[];
  readonly v: number[];
  readonly options: OptimizerOptions;
  t = 0;

  constructor(p: number[], options: OptimizerOptions) {
    this.p = p;
    this.m = p.map(() => 0);
    this.v = p.map(() => 0);
    this.options = options;
  }

  step(gradient: number[]): void {
    const {
      type,
      learningRate,
      beta1 = 0.9,
      beta2 = 0.999,
      epsilon = 1e-8,
      weightDecay = 0,
      clipNorm,
      schedule,
    } = this.options;
    this.t++;
    const rate = learningRate * (schedule?.(this.t) ?? 1);
    const norm = Math.sqrt(gradient.reduce((s, g) => s + g * g, 0));
    const factor = clipNorm !== undefined && norm > clipNorm ? clipNorm / norm : 1;
    gradient.forEach((raw, i) => {
      const g = raw * factor;
      this.m[i] = beta1 * this.m[i] + (1 - beta1) * g;
      this.v[i] = beta2 * this.v[i] + (1 - beta2) * g * g;
      const mHat = this.m[i] / (1 - beta1 ** this.t);
      const vHat = this.v[i] / (1 - beta2 ** this.t);
      if (type === 'adamw') this.p[i] -= rate * weightDecay * this.p[i];
      this.p[i] -= (rate * mHat) / (Math.sqrt(vHat) + epsilon);
    });
  }
}

const SETTINGS: OptimizerOptions[] = [
  { type: 'adam', learningRate: 0.01 },
  { type: 'adam', learningRate: 0.01, beta1: 0.8, beta2: 0.95, epsilon: 1e-3 },
  { type: 'adam', learningRate: 0.01, weightDecay: 0.5 }, // adam takes no decay
  { type: 'adamw', learningRate: 0.01, weightDecay: 0.1 },
  { type: 'adamw', learningRate: 0.01, weightDecay: 0.1, clipNorm: 0.5, schedule: linearSchedule(5, 20) },
  { type: 'adam', learningRate: 0.01, clipNorm: 3, schedule: cosineSchedule(0, 20) },
];
for (const options of SETTINGS)
  for (const memory of [{}, { simd: false }, { segmentLimit: 24 }])
    test(`${JSON.stringify({ ...options, schedule: options.schedule && 'scheduled', ...memory })}: 20 steps equal a plain loop`, () => {
      const parameters = model(memory);
      const optimizer = new Optimizer(parameters, options);
      const plain = new Plain(
        values(parameters),
        options.type === 'adam' ? { ...options, weightDecay: 0 } : options,
      );
      for (let step = 0; step < 20; step++) {
        writeGradients(parameters, step);
        plain.step(gradients(parameters));
        optimizer.step();
        close(values(parameters), plain.p, 2e-6);
      }
    });

test('WebAssembly, JavaScript and several segments give the same bits', () => {
  const all = [{}, { simd: false }, { segmentLimit: 16 }].map((memory) => {
    const parameters = model(memory);
    const optimizer = new Optimizer(parameters, { type: 'adamw', learningRate: 0.01, weightDecay: 0.1 });
    for (let step = 0; step < 5; step++) {
      writeGradients(parameters, step);
      optimizer.step();
    }
    return values(parameters);
  });
  assert.equal(all[1], all[0]);
  assert.equal(all[2], all[0]);
});

test('clipping scales all gradients together, and reports the norm before it', () => {
  for (const memory of [{}, { segmentLimit: 16 }]) {
    const parameters = model(memory);
    writeGradients(parameters, 0);
    const before = gradients(parameters);
    const norm = Math.sqrt(before.reduce((s, g) => s + g * g, 0));
    const clip = (clipNorm: number) => new Optimizer(parameters, { type: 'adam', learningRate: 0, clipNorm });
    assert.ok(Math.abs(clip(1).gradientNorm() / norm - 1) < 1e-6);
    assert.ok(Math.abs(clip(norm * 2).step()! / norm - 1) < 1e-6);
    assert.equal(gradients(parameters), before, 'below the limit nothing changes');
    assert.ok(Math.abs(clip(norm / 4).step()! / norm - 1) < 1e-6);
    close(
      gradients(parameters),
      before.map((g) => g / 4),
      1e-6,
    );
  }
  assert.is(new Optimizer(model(), { type: 'adam', learningRate: 0 }).step(), undefined);
});

test('linear schedule: up to 1 at the end of the warm-up, down to 0 after the last step', () => {
  const schedule = linearSchedule(4, 12);
  const expected = { 1: 0.25, 2: 0.5, 4: 1, 5: 1, 6: 7 / 8, 12: 1 / 8, 13: 0, 100: 0 };
  for (const [step, factor] of Object.entries(expected)) assert.is(schedule(+step), factor, `step ${step}`);
  const cold = linearSchedule(0, 4);
  assert.equal([1, 2, 3, 4, 5].map(cold), [1, 0.75, 0.5, 0.25, 0]);
});

test('cosine schedule: up to 1, then half a cosine', () => {
  const schedule = cosineSchedule(2, 10);
  const expected = [0.5, 1, 0.5 * (1 + Math.cos(Math.PI / 8)), 0.5 * (1 + Math.cos(Math.PI / 4))];
  close([1, 2, 3, 4].map(schedule), expected, 1e-12);
  close([6, 10, 11, 50].map(schedule), [0.5, 0, 0, 0], 1e-12);
});

test('the learning rate shown is the one that the next step takes', () => {
  const parameters = model();
  const optimizer = new Optimizer(parameters, {
    type: 'adam',
    learningRate: 2,
    schedule: linearSchedule(2, 4),
  });
  assert.is(optimizer.learningRate, 1);
  optimizer.step();
  assert.is(optimizer.learningRate, 2);
});

test('a restored optimizer goes on as if it had not stopped', () => {
  const run = (from: number, to: number, parameters: Parameters, optimizer: Optimizer) => {
    for (let step = from; step < to; step++) {
      writeGradients(parameters, step);
      optimizer.step();
    }
  };
  const options: OptimizerOptions = {
    type: 'adamw',
    learningRate: 0.01,
    weightDecay: 0.1,
    schedule: linearSchedule(3, 10),
  };
  const whole = model();
  run(0, 10, whole, new Optimizer(whole, options));
  const half = model();
  run(0, 5, half, new Optimizer(half, options));
  const other = model({ segmentLimit: 16 });
  const resumed = new Optimizer(other, options);
  for (const p of other.all()) {
    p.values.set(half.get(p.name).values);
    for (const what of ['first', 'second'] as const) other.view(p.name, what).set(half.view(p.name, what));
  }
  resumed.steps = 5;
  run(5, 10, other, resumed);
  assert.equal(values(other), values(whole));
});

test('lazy rows: all rows at every step make the dense step, whatever their width; clipping counts them', () => {
  for (const width of [4, 3])
    for (const clipNorm of [undefined, 0.5]) {
      const [dense, lazy] = [false, true].map((isLazy) => {
        const parameters = new Parameters({ seed: 1 });
        parameters.create('w', [2, 2], normal(1));
        parameters.create('table', [5, width], normal(1), { perItem: true });
        if (isLazy)
          assert.equal(
            parameters.deferRows().map((p) => p.name),
            ['table'],
          );
        const optimizer = new Optimizer(parameters, { type: 'adam', learningRate: 0.1, clipNorm });
        for (let step = 0; step < 5; step++) {
          const random = seeded('rows', step);
          const gradient = Float32Array.from({ length: 5 * width }, () => random.normal());
          parameters.view('w', 'gradient').fill(0.1 * step);
          const ids = Int32Array.of(3, 0, 4, 1, 2);
          const shuffled = gradient.map((_, i) => gradient[ids[Math.floor(i / width)] * width + (i % width)]);
          if (!isLazy) parameters.view('table', 'gradient').set(gradient);
          optimizer.step(isLazy ? [{ name: 'table', ids, gradient: shuffled }] : []);
        }
        return values(parameters);
      });
      close(lazy, dense, 1e-6);
    }
});

test('lazy rows that are not given rest, with their moments', () => {
  const parameters = new Parameters({ seed: 1 });
  parameters.create('table', [3, 4], normal(1), { perItem: true });
  parameters.deferRows();
  const before = parameters.get('table').values.slice();
  const optimizer = new Optimizer(parameters, { type: 'adam', learningRate: 0.1 });
  const gradient = new Float32Array(4).fill(1);
  optimizer.step([{ name: 'table', ids: Int32Array.of(1), gradient }]);
  optimizer.step();
  const { values: after } = parameters.get('table');
  assert.equal(after.subarray(0, 4), before.subarray(0, 4));
  assert.equal(after.subarray(8), before.subarray(8));
  assert.ok(after.subarray(4, 8).every((x, i) => Math.abs(x - before[4 + i] + 0.1) < 1e-5));
  assert.equal([...parameters.view('table', 'first').subarray(0, 4)], [0, 0, 0, 0]);
});

test.run();
