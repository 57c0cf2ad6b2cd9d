import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lossSettings } from '../../../configs/train-settings.ts';
import { cpuDevice, type Device, type OptimizerOptions, openOptimizer } from '../../../engine/index.ts';
import { loadCheckpoint, saveCheckpoint } from '../../../training/checkpoint.ts';
import { trainingStep } from '../../../training/step.ts';
import { build, ITEMS, stir, textFor, type Variant, variants } from '../../models/support.ts';
import { runWith, takeSteps, trainerOf } from '../../training/support.ts';
import { webgpuHere } from './support.ts';

const STEPS = 20;
const webgpu = await webgpuHere();
const cpu = cpuDevice({ threads: 1 });

const noRows = { user: new Int32Array(), start: new Int32Array(), end: new Int32Array() };
const train = { ...noRows, target: Int32Array.from({ length: 40 }, (_, i) => (i * i) % ITEMS) };

interface Course {
  losses: number[];
  parameters: Map<string, Float32Array>;
}

/** Trains a small model, dropout and noise included. */
async function course(
  variant: Variant,
  device: Device,
  { loss = {}, ...adam }: { loss?: object } & Partial<OptimizerOptions> = {},
): Promise<Course> {
  const built = build(variant);
  stir(built);
  const { parameters } = built;
  const step = trainingStep({
    ...built,
    dataset: { itemCount: ITEMS, train },
    text: textFor(variant),
    loss: lossSettings.parse(loss),
    parts: 1,
    seed: 1,
    device,
  });
  const optimizer = openOptimizer(parameters, { type: 'adam', learningRate: 1e-3, ...adam }, device);
  const losses = await takeSteps(step, optimizer, STEPS);
  await parameters.fetch();
  await step.close();
  return { losses, parameters: new Map(parameters.all().map(({ name, values }) => [name, values.slice()])) };
}

function assertEqual(actual: Course, expected: Course): void {
  actual.losses.forEach((loss, i) => {
    const error = Math.abs(loss / expected.losses[i] - 1);
    assert.ok(error < 1e-4, `step ${i + 1}: a loss of ${loss}, on cpu ${expected.losses[i]}`);
  });
  assert.is.not(expected.losses[0], expected.losses[STEPS - 1]);
}

for (const variant of webgpu ? variants().filter(({ settings }) => settings.stage !== 'pretrain') : []) {
  test(`${variant.name}: ${STEPS} steps on webgpu have the losses of cpu, and run on the card alone`, async () => {
    assertEqual(await course(variant, webgpu!), await course(variant, cpu));
  });
}

for (const variant of webgpu ? variants().filter(({ settings }) => settings.stage !== 'pretrain') : []) {
  test(`${variant.name}: ${STEPS} sampled steps on webgpu have the losses of cpu, and train the same rows`, async () => {
    const loss = { type: 'sampled', negatives: 2 };
    const [actual, expected] = [
      await course(variant, webgpu!, { loss, clipNorm: 1 }),
      await course(variant, cpu, { loss, clipNorm: 1 }),
    ];
    assertEqual(actual, expected);
  });
}

if (webgpu) {
  test('a training that is saved and taken up again goes on as if nothing had happened', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rec-webgpu-'));
    const path = join(folder, 'last.safetensors');
    const whole = trainerOf({ device: webgpu, settings: { epochs: 2, parts: 1 } });
    const expected = await runWith(whole.trainer, () => 0.5);
    const first = trainerOf({ device: webgpu, settings: { epochs: 2, parts: 1 } });
    await first.trainer
      .run({
        validate: async () => ({ 'ndcg@10': 0.5, 'recall@10': 0.5 }),
        onEpoch: async () => {},
        async onCheckpoint(state) {
          if (state.optimizerSteps !== 2) return;
          await first.trainer.settle();
          await saveCheckpoint(path, first.built.parameters, state);
          throw new Error('killed');
        },
      })
      .catch(({ message }: Error) => assert.is(message, 'killed'));
    const second = trainerOf({ device: webgpu, settings: { epochs: 2, parts: 1 }, seed: 1 });
    const state = await loadCheckpoint(path, second.built.parameters, second.trainer.optimizer);
    Object.assign(second.trainer.state, state);
    const actual = await runWith(second.trainer, () => 0.5);
    // Additions into one row come in any order: runs differ by rounding.
    assert.is(actual.records.length, 2);
    actual.records.forEach(({ loss }, i) => {
      assert.ok(Math.abs(loss / expected.records[i].loss - 1) < 1e-6, `epoch ${i + 1}: a loss of ${loss}`);
    });
    await rm(folder, { recursive: true });
  });
}

test.run();
