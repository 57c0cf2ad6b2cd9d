import type { Batch } from '../../data/batches.ts';
import { compileGradients } from '../../engine/index.ts';
import { trainingLoss } from '../objective.ts';
import {
  type Built,
  batchesOf,
  difference,
  eagerStep,
  ITEMS,
  type LossAndGradients,
  stepFeeds,
  still,
  textFor,
  type Variant,
} from './variants.ts';
import { devices, ensure } from './vectors.ts';

// The rules of the contract that are about a training step: its loss and its gradients.

/** Sequences longer than the longest history (12) among them, and of one row only. */
export const LENGTHS = [2, 3, 5, 15, 4, 9, 2, 3];

/** A few steps' batches: many targets a window and one, in changing shapes; a loss of the model's own takes only one. */
export function someBatches({ model }: Built): Batch[] {
  const rows = batchesOf(LENGTHS, { mode: 'rows', batchSize: 12 });
  const grouped = model.loss ? [] : batchesOf(LENGTHS, { mode: 'grouped', batchSize: 14 });
  return rows.flatMap((batch, i) => [batch, ...(grouped[i] ? [grouped[i]] : [])]);
}

export function checkFinite(variant: Variant, built: Built, note?: (text: string) => void): void {
  const feeds = stepFeeds(built.model, someBatches(built)[0], textFor(variant), 0);
  const { loss, gradients, unreached } = eagerStep(built, feeds, { seed: 0, step: 0 });
  ensure(Number.isFinite(loss), `the loss is ${loss}`);
  for (const [name, gradient] of gradients)
    ensure(
      gradient.every(Number.isFinite),
      `the gradient of ${name} is not finite, though the loss is: a root, norm, logarithm or quotient has no slope at 0. ` +
        'Add a small number to what goes into it; tf.where on what comes out does not help',
    );
  if (unreached.length)
    note?.(
      `the loss does not depend on ${unreached.join(', ')}: training leaves such parameters as they are`,
    );
}

export function checkGradients(variant: Variant, { model, parameters }: Built): void {
  const built = { model: still(model), parameters };
  const feeds = stepFeeds(model, someBatches(built)[0], textFor(variant), 0);
  const at = { seed: 0, step: 0 };
  const { gradients } = eagerStep(built, feeds, at);
  const trainable = parameters.trainable();
  // Along the gradient of a few parameters one by one, and of all together.
  const few = trainable.filter((_, i) => i % 5 === 0).map((p) => [p]);
  for (const group of [...few, trainable]) {
    const direction = group.map(({ name }) => gradients.get(name)!);
    const norm = Math.sqrt(direction.reduce((sum, g) => sum + g.reduce((s, x) => s + x * x, 0), 0));
    if (norm < 1e-3) continue;
    const moved = (by: number) => {
      const kept = group.map(({ values }) => values.slice());
      for (const [k, { values }] of group.entries())
        values.set(values.map((x, j) => x + (by * direction[k][j]) / norm));
      const { loss } = eagerStep(built, feeds, at);
      for (const [k, { values }] of group.entries()) values.set(kept[k]);
      return loss;
    };
    const h = 2e-3;
    const slope = (moved(h) - moved(-h)) / (2 * h);
    ensure(
      Math.abs(slope - norm) < 0.01 * norm + 1e-3,
      `along the gradient of ${group.length > 1 ? 'all parameters' : group[0].name} the loss rises by ${slope} a unit, ` +
        `its gradient says ${norm}: an operation with a gradient of its own (tf.customGrad) has a wrong one, or the loss has jumps`,
    );
  }
}

export async function checkCompilation(variant: Variant, built: Built): Promise<void> {
  const text = textFor(variant);
  const batches = someBatches(built).slice(0, 2);
  const expected = batches.map((batch, i) =>
    eagerStep(built, stepFeeds(built.model, batch, text, i), { seed: 7, step: i }),
  );
  for (const device of devices) {
    const step = compileGradients(trainingLoss(built.model, ITEMS), { ...built, device });
    for (const [i, batch] of batches.entries()) {
      const { loss } = await step(stepFeeds(built.model, batch, text, i), { seed: 7, step: i });
      ensureAgreement({ loss: loss.data[0], gradients: gradientsOf(built) }, expected[i]);
    }
    await step.close();
  }
}

function ensureAgreement(actual: LossAndGradients, expected: LossAndGradients): void {
  const tolerance = 1e-5;
  const cause =
    'values that were read while building (dataSync) or random numbers from elsewhere than dropout() and noise()';
  ensure(
    Math.abs(actual.loss - expected.loss) <= tolerance * Math.abs(expected.loss),
    `the compiled loss is ${actual.loss}, eagerly ${expected.loss}: ${cause} do not compile`,
  );
  const { error, name } = difference(actual.gradients, expected.gradients);
  ensure(
    error <= tolerance,
    `the compiled gradient of ${name} is off by ${error} of the largest: ${cause} do not compile`,
  );
}

const gradientsOf = ({ parameters }: Built) =>
  new Map(parameters.trainable().map(({ name }) => [name, parameters.view(name, 'gradient')]));
