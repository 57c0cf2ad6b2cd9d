import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fromFloat16, toFloat16 } from '../../common/half.ts';
import { Progress } from '../../common/progress.ts';
import { lossSettings } from '../../configs/train-settings.ts';
import { probeWebgpu, webgpuDevice } from '../../engine/devices/webgpu/index.ts';
import { cpuDevice, type Device, eagerDevice, type HostTensor, openOptimizer } from '../../engine/index.ts';
import { rankAll } from '../../evaluation/ranking.ts';
import type { RankingOptions } from '../../evaluation/tally.ts';
import { ModelScorer } from '../../training/scorer.ts';
import { trainingStep } from '../../training/step.ts';
import { build, ITEMS, stir, textFor, type Variant, variants } from '../models/support.ts';
import { skipped } from '../skip.ts';
import { randomDataset, takeSteps } from './support.ts';

const STEPS = 3;
const MAX_HISTORY = 12;
const readers = variants().filter(
  ({ definition, settings }) => definition.input !== 'id' && settings.stage !== 'pretrain',
);
const cpu = cpuDevice({ threads: 1 });
const { works, why } = await probeWebgpu();
if (!works) skipped(why);

const halves = ({ shape, data }: HostTensor): HostTensor => ({
  dtype: 'float16',
  shape,
  data: toFloat16(data as Float32Array),
  frozen: true,
});
const rounded = ({ shape, data }: HostTensor): HostTensor => ({
  dtype: 'float32',
  shape,
  data: fromFloat16(toFloat16(data as Float32Array)),
  frozen: true,
});

/** Losses, parameters and ranks of a short training. */
async function train(variant: Variant, text: HostTensor, device: Device, { loss = {}, chunkItems = 0 } = {}) {
  const built = build(variant, { maxHistory: MAX_HISTORY });
  stir(built);
  const dataset = randomDataset([4, 30, 2, 9, 14]);
  const options = { ...built, dataset, text, loss: lossSettings.parse(loss), parts: 1, seed: 1, device };
  const step = trainingStep(options, chunkItems ? { largeCatalogue: 1, chunkItems } : {});
  const optimizer = openOptimizer(built.parameters, { type: 'adam', learningRate: 1e-3 }, device);
  const losses = await takeSteps(step, optimizer, STEPS);
  await built.parameters.fetch();
  const scorer = new ModelScorer(built.model, dataset, text, MAX_HISTORY, { ...built, device });
  await scorer.refresh();
  const ranking = { topk: [1, 5], filterSeen: true, lists: false, batchSize: 16, progress: new Progress() };
  const { metrics } = await rankAll(dataset, dataset.test, scorer, ranking as RankingOptions);
  await scorer.close();
  await step.close();
  return {
    losses,
    metrics,
    parameters: built.parameters.all().map(({ name, values }) => [name, [...values]]),
  };
}

const ways = [{}, { loss: { type: 'sampled', negatives: 2 } }, { chunkItems: 5 }];
for (const variant of readers)
  for (const way of ways) {
    const text = textFor(variant)!;
    const name = `${variant.name}, ${JSON.stringify(way)}`;
    test(`${name}: vectors held as halves train and rank as those rounded before`, async () => {
      assert.is(text.shape[0], ITEMS);
      const expected = await train(variant, rounded(text), cpu, way);
      assert.equal(await train(variant, halves(text), cpu, way), expected);
      assert.not.equal((await train(variant, text, cpu, way)).losses, expected.losses);
    });
  }

for (const [name, device] of [
  ['eager tfjs', eagerDevice('cpu')],
  ...(works
    ? ([
        ['webgpu', webgpuDevice({ strict: true })],
        ['webgpu in blocks', webgpuDevice({ blockBytes: 64 })],
      ] as const)
    : []),
] as const)
  for (const way of name === 'webgpu' ? ways : [{}])
    test(`${name}, ${JSON.stringify(way)}: the same`, async () => {
      const [variant] = readers;
      const text = textFor(variant)!;
      const expected = await train(variant, rounded(text), cpu, way);
      const { losses, metrics } = await train(variant, halves(text), device, way);
      for (const [i, loss] of expected.losses.entries())
        assert.ok(Math.abs(losses[i] / loss - 1) < 1e-4, `step ${i + 1}: ${losses[i]}, not ${loss}`);
      assert.equal(metrics, expected.metrics);
    });

test.run();
