import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { partsOf } from '../../data/batch-parts.ts';
import { compileGradients, compileShards, cpuDevice } from '../../engine/index.ts';
import { feedsOf, trainingLoss } from '../../training/objective.ts';
import {
  batchesOf,
  build,
  DEVICES,
  difference,
  ITEMS,
  still,
  stir,
  textFor,
  variants,
} from '../models/support.ts';

const LENGTHS = [2, 3, 5, 15, 4, 9, 2, 3];
const withoutOwnLoss = variants().filter((variant) => variant.settings.stage !== 'pretrain');

for (const variant of withoutOwnLoss)
  for (const mode of ['rows', 'grouped'] as const)
    test(`${variant.name}: parts of ${mode} side by side have the batch's loss and gradients`, async () => {
      const built = build(variant);
      const { parameters } = built;
      stir(built);
      const text = textFor(variant);
      const loss = trainingLoss(still(built.model), ITEMS);
      const whole = compileGradients(loss, { parameters, device: DEVICES[0] });
      const shards = compileShards(loss, 2, { parameters, device: cpuDevice({ threads: 2 }) });
      const gradients = () =>
        new Map(parameters.trainable().map(({ name }) => [name, parameters.view(name, 'gradient').slice()]));
      const batch = batchesOf(LENGTHS, { mode, batchSize: 14 })[0];
      const expected = (await whole(feedsOf(batch, text))).loss.data[0];
      const wanted = gradients();
      const parts = partsOf(batch, 2).map((part) => feedsOf(part, text));
      const sum = (await shards(parts, { seed: 1, step: 1 })).loss.data[0];
      assert.ok(Math.abs(sum - expected) < 1e-5 * expected, `${sum}, expected ${expected}`);
      const { error, name } = difference(gradients(), wanted);
      assert.ok(error < 1e-5, `gradient of ${name} is off by ${error} of the largest`);
      await whole.close();
      await shards.close();
      parameters.dispose();
    });

test.run();
