import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Progress } from '../../common/progress.ts';
import { lossSettings } from '../../configs/train-settings.ts';
import { dropItems } from '../../data/augment.ts';
import { cpuDevice, type Device, eagerDevice, Optimizer } from '../../engine/index.ts';
import { rankAll } from '../../evaluation/ranking.ts';
import { checkDevice } from '../../training/device-check.ts';
import { augmentedFeeds } from '../../training/objective.ts';
import { ModelScorer } from '../../training/scorer.ts';
import { trainingStep } from '../../training/step.ts';
import { batchesOf, build, ITEMS, stir, textFor, type Variant, variants } from '../models/support.ts';
import { openTensorflow } from '../tensorflow.ts';
import { randomDataset } from './support.ts';

const cpu = cpuDevice({ threads: 1 });
const tensorflow = await openTensorflow();
const STEPS = 20;
const FEW = 4;
const { train } = randomDataset([9, 9, 9, 9]);

/** Losses of some steps with dropout, on batches of rows with positions of their own and of whole histories. */
async function losses(
  device: Device,
  variant: Variant,
  loss: Record<string, unknown>,
  steps = STEPS,
  chunking = {},
) {
  const built = build(variant);
  stir(built, 0.1);
  const text = textFor(variant);
  const step = trainingStep(
    {
      ...built,
      dataset: { itemCount: ITEMS, train },
      text,
      loss: lossSettings.parse(loss),
      parts: 1,
      seed: 1,
      device,
    },
    chunking,
  );
  const optimizer = new Optimizer(built.parameters, { type: 'adam', learningRate: 1e-3 });
  const mode = built.model.loss ? 'rows' : 'grouped';
  const batches = batchesOf([5, 9, 3, 4, 12], { mode, batchSize: 16 });
  const found: number[] = [];
  for (let i = 0; i < steps; i++) {
    const batch = batches[i % batches.length];
    const { loss: ownLoss, augmentation } = built.model;
    const view = ownLoss && dropItems(batch, augmentation?.dropItems ?? 0, 1, i);
    const result = await step.run(
      batch,
      { seed: 1, step: i },
      view && augmentedFeeds(batch, view, undefined),
    );
    optimizer.step(result.rows);
    found.push(result.loss);
  }
  await step.close();
  return found;
}

async function sameLosses(device: Device, ...given: [Variant, Record<string, unknown>, number?, object?]) {
  const [own, reference] = [await losses(device, ...given), await losses(cpu, ...given)];
  own.forEach((loss, i) => {
    assert.ok(
      Math.abs(loss / reference[i] - 1) < 1e-4,
      `step ${i}: ${loss}, on the cpu device ${reference[i]}`,
    );
  });
  assert.is(new Set(reference).size, reference.length);
}

// One code path: plain tfjs on one model, TensorFlow on all.
for (const device of [eagerDevice('cpu'), ...(tensorflow ? [tensorflow] : [])]) {
  const some = device === tensorflow ? variants() : variants().filter(({ name }) => name === 'sasrec');
  for (const variant of some) {
    const ownLoss = variant.settings.stage === 'pretrain';
    test(`${device.name}, ${variant.name}: ${STEPS} steps have the losses of the compiled ones`, async () => {
      await sameLosses(device, variant, {});
      if (!ownLoss) await sameLosses(device, variant, { type: 'sampled', negatives: 3 }, FEW);
      if (variant.definition.input !== 'id' && !ownLoss)
        await sameLosses(device, variant, {}, FEW, { largeCatalogue: 1, chunkItems: 7 });
    });

    test(`${device.name}, ${variant.name}: evaluation ranks as the compiled one does`, async () => {
      const dataset = randomDataset([4, 30, 2, 9, 14]);
      const results = [];
      for (const one of [device, cpu]) {
        const built = build(variant);
        stir(built);
        const scorer = new ModelScorer(built.model, dataset, textFor(variant), 12, { ...built, device: one });
        await scorer.refresh();
        const options = {
          topk: [5],
          filterSeen: false,
          ties: 'index',
          lists: true,
          progress: new Progress(),
        } as const;
        results.push(await rankAll(dataset, dataset.test, scorer, options as never));
        await scorer.close();
      }
      assert.equal(results[0].metrics, results[1].metrics);
    });
  }
}

if (tensorflow)
  test('the check of `rec setup tensorflow` passes', async () => {
    const { loss, gradient, device } = await checkDevice('tensorflow');
    assert.ok(loss < 1e-4 && gradient < 1e-4 && /TensorFlow 2/.test(device));
  });

test.run();
