import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lossSettings } from '../../configs/train-settings.ts';
import type { Batch } from '../../data/batches.ts';
import { cpuDevice, Optimizer } from '../../engine/index.ts';
import { type StepOptions, trainingStep } from '../../training/step.ts';
import {
  type Built,
  batchesOf,
  build,
  difference,
  ITEMS,
  still,
  stir,
  textFor,
  type Variant,
  variants,
} from '../models/support.ts';
import { runWith, trainerOf } from './support.ts';

const device = cpuDevice({ threads: 1 });
const noRows = { user: new Int32Array(), start: new Int32Array(), end: new Int32Array() };
/** Every item is a target of training, some more often. */
const train = { ...noRows, target: Int32Array.from({ length: 40 }, (_, i) => (i * i) % ITEMS) };

function stepOf(
  variant: Variant,
  built: Built,
  loss: Record<string, unknown>,
  chunking = {},
  options: Partial<StepOptions> = {},
) {
  return trainingStep(
    {
      ...built,
      dataset: { itemCount: ITEMS, train },
      text: textFor(variant),
      loss: lossSettings.parse(loss),
      seed: 1,
      device,
      ...options,
    },
    chunking,
  );
}

/** Loss and gradients of one batch, with dropout and noise off. */
async function gradientsOf(variant: Variant, batch: Batch, chunking: Parameters<typeof stepOf>[3]) {
  const built = build(variant);
  stir(built);
  const step = stepOf(variant, { ...built, model: still(built.model) }, {}, chunking);
  const { loss } = await step.run(batch, { seed: 1, step: 1 });
  const gradients = new Map(
    built.parameters.trainable().map(({ name }) => [name, built.parameters.view(name, 'gradient').slice()]),
  );
  await step.close();
  return { loss, gradients };
}

const withTexts = variants().filter(({ definition, settings }) => {
  return definition.input !== 'id' && settings.stage !== 'pretrain';
});
for (const variant of withTexts) {
  test(`${variant.name}: a catalogue in chunks has the loss and gradients of one in whole`, async () => {
    const [batch] = batchesOf([5, 9, 3, 4], { mode: 'grouped', batchSize: 40 });
    const whole = await gradientsOf(variant, batch, {});
    // Chunks that come out even, and ones of which the last overlaps.
    for (const chunkItems of [13, 7, 4]) {
      const parts = await gradientsOf(variant, batch, { largeCatalogue: 1, chunkItems });
      assert.ok(Math.abs(parts.loss - whole.loss) < 1e-5 * whole.loss, `${parts.loss} of ${whole.loss}`);
      const { error, name } = difference(parts.gradients, whole.gradients);
      assert.ok(error < 1e-5, `${name}: ${error} in chunks of ${chunkItems}`);
    }
  });
}

for (const variant of variants().filter(({ settings }) => settings.stage !== 'pretrain')) {
  test(`${variant.name}: a sampled step trains only the rows of the items that it is about`, async () => {
    const built = build(variant);
    stir(built); // dropout may leave nothing of a small layer whose biases are zero
    const step = stepOf(variant, built, { type: 'sampled', negatives: 2 });
    const optimizer = new Optimizer(built.parameters, { type: 'adam', learningRate: 0.1 });
    const [batch] = batchesOf([3], { mode: 'rows', batchSize: 1 });
    const before = built.parameters.snapshot();
    const { loss, rows } = await step.run(batch, { seed: 1, step: 1 });
    optimizer.step(rows);
    assert.ok(Number.isFinite(loss) && loss > 0);
    for (const { name, shape, values, perItem } of built.parameters.all()) {
      if (!perItem) continue;
      const ids = rows.find((part) => part.name === name)!.ids;
      assert.ok(ids.length < ITEMS, `${ids.length} items`);
      for (const target of batch.target) assert.ok(ids.includes(target));
      for (let item = 0; item < ITEMS; item++) {
        const [from, to] = [item * shape[1], (item + 1) * shape[1]];
        const same = [...values.subarray(from, to)].every((x, i) => x === before.get(name)!.data[from + i]);
        if (!ids.includes(item)) assert.ok(same, `${name}: item ${item} was not in the step`);
        else if (batch.target.includes(item)) assert.not(same, `${name}: target ${item} did not move`);
      }
    }
    await step.close();
  });
}

for (const mode of ['rows', 'grouped'] as const)
  for (const sampling of ['uniform', 'batch'])
    test(`loss sampled, ${sampling}, ${mode}: two parts have the loss and gradients of the whole`, async () => {
      const [batch] = batchesOf([5, 9, 3, 4, 2], { mode, batchSize: 40 });
      const outcomes = [];
      for (const parts of [1, 2]) {
        const variant = variants().find(({ name }) => name === 'sasrec')!;
        const built = build(variant);
        stir(built);
        const model = still(built.model);
        // Not every item of the batch is a target of `train`.
        const loss = { type: 'sampled', negatives: 5, sampling, logQ: sampling !== 'batch' };
        const step = stepOf(
          variant,
          { ...built, model },
          loss,
          {},
          { parts, device: cpuDevice({ threads: 2 }) },
        );
        for (const again of [1, 2]) {
          const { loss, rows } = await step.run(batch, { seed: 1, step: again });
          const gradients = new Map(rows.map(({ name, gradient }) => [name, gradient!.slice()]));
          for (const { name, lazy } of built.parameters.trainable())
            if (!lazy) gradients.set(name, built.parameters.view(name, 'gradient').slice());
          outcomes.push({ loss, gradients });
        }
        await step.close();
      }
      for (const i of [0, 1]) {
        const [whole, parts] = [outcomes[i], outcomes[2 + i]];
        assert.ok(Math.abs(parts.loss - whole.loss) < 1e-5 * whole.loss, `${parts.loss} of ${whole.loss}`);
        const { error, name } = difference(parts.gradients, whole.gradients);
        assert.ok(error < 1e-5, `${name}: ${error}`);
      }
    });

for (const sampling of ['uniform', 'popularity', 'batch']) {
  test(`loss sampled, ${sampling}: it learns what follows what, and the same at every try`, async () => {
    const train = async () => {
      const { trainer } = trainerOf({
        settings: { epochs: 40, learningRate: 0.02 },
        loss: { type: 'sampled', negatives: 6, sampling },
        lengths: [9, 9, 9, 9],
      });
      return (await runWith(trainer, () => 0.1)).records.map(({ loss }) => loss);
    };
    const losses = await train();
    assert.ok(losses.at(-1)! < 0.8 * losses[0], losses.join());
    assert.equal(await train(), losses);
  });
}

test.run();
