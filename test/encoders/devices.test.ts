import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { createEncoder, createMissing, headShapes } from '../../encoders/pretraining/heads.ts';
import { PretrainingStep } from '../../encoders/pretraining/step.ts';
import { RobertaBatches } from '../../encoders/roberta-batches.ts';
import { type RobertaConfig, robertaShapes } from '../../encoders/roberta-model.ts';
import { cpuDevice, type Device, eagerDevice, normal, Parameters } from '../../engine/index.ts';
import { difference } from '../models/support.ts';
import { openTensorflow } from '../tensorflow.ts';
import { heads, objective, small, texts, vocabulary } from './pretraining/support.ts';

const cpu = cpuDevice({ threads: 1 });
const tensorflow = await openTensorflow();
const config: RobertaConfig = { ...small, hiddenDropout: 0.1, attentionDropout: 0.1 };

/** Losses and the gradients of one step, dropout and masks included. */
async function pretrain(device: Device, rows: number) {
  const parameters = new Parameters({ seed: 3 });
  createEncoder(parameters, config);
  createMissing(parameters, headShapes(config, heads));
  for (const { values, name } of parameters.all()) {
    const random = seeded('larger', name);
    for (let i = 0; i < values.length; i++) values[i] += 0.2 * random.normal();
  }
  const step = new PretrainingStep({
    parameters,
    config,
    heads,
    objective,
    vocabulary,
    rows,
    device,
  });
  const losses = await step.run(texts(7, 1), texts(7, 2), { seed: 5, step: 1 }, seeded('masks'));
  await step.close();
  const gradients = new Map(
    parameters.trainable().map(({ name }) => [name, parameters.view(name, 'gradient').slice()]),
  );
  return { losses, gradients };
}

for (const device of [eagerDevice('cpu'), ...(tensorflow ? [tensorflow] : [])]) {
  test(`${device.name}: vectors of a RoBERTa are those of the cpu device`, async () => {
    const weights = new Parameters({ seed: 3 });
    for (const [name, shape] of robertaShapes(config)) weights.create(name, shape, normal(0.3));
    for (const pooling of ['cls', 'mean'] as const)
      for (const normalize of ['none', 'l2'] as const) {
        const [own, reference] = await Promise.all(
          [device, cpu].map((one) => RobertaBatches.load(weights, config, { pooling, normalize }, one)),
        );
        for (const batch of [
          [
            [0, 5, 6, 2],
            [0, 7, 8, 2],
          ],
          texts(1, 1),
        ]) {
          const expected = await reference.encode(batch);
          (await own.encode(batch)).forEach((x, i) => {
            assert.ok(Math.abs(x - expected[i]) < 1e-5 * (1 + Math.abs(expected[i])), `${x}, ${expected[i]}`);
          });
        }
        await Promise.all([own.close(), reference.close()]);
      }
  });

  for (const rows of [14, 5])
    test(`${device.name}: a step of pretraining in parts of ${rows} is that of the cpu device`, async () => {
      const [own, reference] = [await pretrain(device, rows), await pretrain(cpu, rows)];
      for (const name of ['contrastive', 'mlm'] as const)
        assert.ok(Math.abs(own.losses[name]! / reference.losses[name]! - 1) < 1e-4, name);
      const { error, name } = difference(own.gradients, reference.gradients);
      assert.ok(error < 1e-4, `${name}: ${error}`);
    });
}

test.run();
