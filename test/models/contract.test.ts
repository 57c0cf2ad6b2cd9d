import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compileGradients, Optimizer, tf } from '../../engine/index.ts';
import { models } from '../../models/index.ts';
import { contractOf } from '../../training/contract/index.ts';
import { changedHistories, scores } from '../../training/contract/model-checks.ts';
import { someBatches } from '../../training/contract/step-checks.ts';
import { distance, history, vectorsOf } from '../../training/contract/vectors.ts';
import { trainingLoss } from '../../training/objective.ts';
import {
  type Built,
  build,
  DEVICES,
  eagerStep,
  ITEMS,
  stepFeeds,
  stir,
  textFor,
  variants,
} from './support.ts';

// What every registered model must keep, in every variant of its settings. A new model is found by itself. The contract's own
// rules are those of `rec check`; what follows them holds for the models that come with the project.

for (const definition of models.all())
  for (const { name, checks } of contractOf(definition))
    for (const { rule, run } of checks) test(`${name}: ${rule}`, () => run());

for (const variant of variants()) {
  test(`${variant.name}: every item changes all vectors from its own on`, async () => {
    const built = build(variant);
    stir(built);
    const length = 6;
    const { at } = await vectorsOf(variant, built, changedHistories(history(length)), length);
    for (let k = 1; k < length; k++)
      for (let i = k; i < length; i++)
        assert.ok(distance(at(k, i), at(0, i)) > 1e-5, `item ${k}, after ${i}`);
    built.parameters.dispose();
  });

  test(`${variant.name}: another seed gives other initial values, another step or seed other masks`, () => {
    const text = textFor(variant);
    const loss = (seed: number, step = 1, maskSeed = seed) => {
      const built = build(variant, { seed });
      const batch = someBatches(built)[0];
      const result = eagerStep(built, stepFeeds(built.model, batch, text, 0), { seed: maskSeed, step });
      built.parameters.dispose();
      return result.loss;
    };
    assert.is.not(loss(4), loss(3));
    assert.is.not(loss(3, 2), loss(3));
    assert.is.not(loss(3, 1, 4), loss(3));
    const [one, other] = [1, 2].map((seed) => build(variant, { seed }));
    assert.not.equal(scores(variant, one), scores(variant, other));
    for (const { parameters } of [one, other]) parameters.dispose();
  });

  test(`${variant.name}: twenty compiled optimizer steps are the eager ones`, async () => {
    const text = textFor(variant);
    const steps = Array.from({ length: 20 }, (_, i) => i + 1);
    // Moderate, and from values well away from zero: else Adam and LayerNorm amplify rounding from the first step on.
    const learningRate = 1e-3;
    const plainBuilt = build(variant);
    stir(plainBuilt);
    const batches = someBatches(plainBuilt);
    const feeds = (step: number) => stepFeeds(plainBuilt.model, batches[step % batches.length], text, step);
    const adam = new PlainAdam(learningRate);
    const expected = steps.map((step) => {
      const { loss, gradients } = eagerStep(plainBuilt, feeds(step), { seed: 5, step });
      adam.step(plainBuilt, gradients);
      return loss;
    });
    assert.ok(expected.some((loss) => Math.abs(loss - expected[0]) > 1e-2));
    for (const device of DEVICES) {
      const built = build(variant);
      stir(built);
      const optimizer = new Optimizer(built.parameters, { type: 'adam', learningRate });
      const compiled = compileGradients(trainingLoss(built.model, ITEMS), { ...built, device });
      for (const step of steps) {
        const { loss } = await compiled(feeds(step), { seed: 5, step });
        optimizer.step();
        const wanted = expected[step - 1];
        assert.ok(
          Math.abs(loss.data[0] - wanted) <= 1e-5 * Math.abs(wanted),
          `step ${step}: ${loss.data[0]}, eagerly ${wanted}`,
        );
      }
      await compiled.close();
      built.parameters.dispose();
    }
    plainBuilt.parameters.dispose();
  });
}

/** Adam as in the paper's algorithm 1 (Kingma and Ba, 2015), in double precision. */
class PlainAdam {
  readonly #rate: number;
  #t = 0;
  readonly #moments = new Map<string, { m: Float64Array; v: Float64Array }>();

  constructor(rate: number) {
    this.#rate = rate;
  }

  step({ parameters }: Built, gradients: Map<string, Float32Array>): void {
    this.#t++;
    for (const { name, values, variable, shape } of parameters.trainable()) {
      const zero = () => new Float64Array(values.length);
      const { m, v } = this.#moments.get(name) ?? { m: zero(), v: zero() };
      this.#moments.set(name, { m, v });
      const old = variable.dataSync();
      const moved = gradients.get(name)!.map((g, i) => {
        m[i] = 0.9 * m[i] + 0.1 * g;
        v[i] = 0.999 * v[i] + 0.001 * g * g;
        return (
          old[i] -
          (this.#rate * (m[i] / (1 - 0.9 ** this.#t))) / (Math.sqrt(v[i] / (1 - 0.999 ** this.#t)) + 1e-8)
        );
      });
      variable.assign(tf.tensor(moved, [...shape]));
    }
  }
}

test.run();
