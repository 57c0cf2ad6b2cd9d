import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../../common/random.ts';
import { createEncoder, createMissing, headShapes } from '../../../encoders/pretraining/heads.ts';
import { PretrainingStep } from '../../../encoders/pretraining/step.ts';
import { RobertaBatches } from '../../../encoders/roberta-batches.ts';
import type { RobertaConfig } from '../../../encoders/roberta-model.ts';
import { cpuDevice, type Device, openOptimizer, Parameters } from '../../../engine/index.ts';
import { heads, objective, small, vocabulary } from '../../encoders/pretraining/support.ts';
import { webgpuHere } from './support.ts';

const config: RobertaConfig = {
  ...small,
  hiddenSize: 32,
  innerSize: 64,
  maxPositions: 140,
  hiddenDropout: 0.1,
  attentionDropout: 0.1,
};
const webgpu = await webgpuHere();
const cpu = cpuDevice({ threads: 1 });

function text(length: number, seed: number): number[] {
  const random = seeded('text', seed);
  return [0, ...Array.from({ length: length - 2 }, () => 4 + random.below(config.vocabSize - 5)), 2];
}

/** A model whose attention tells tokens apart. */
function model(): Parameters {
  const parameters = new Parameters({ seed: 3 });
  createEncoder(parameters, config);
  for (const { name, values } of parameters.all()) {
    const random = seeded('larger', name);
    values.forEach((_, i) => {
      values[i] += 0.2 * random.normal();
    });
  }
  return parameters;
}

async function vectors(device: Device, pooling: 'cls' | 'mean', half = false): Promise<Float32Array[]> {
  const batches = await RobertaBatches.load(model(), config, { pooling, normalize: 'l2', half }, device);
  const found: Float32Array[] = [];
  for (const length of [5, 64, 130]) found.push(await batches.encode([text(length, 1), text(length, 2)]));
  await batches.close();
  return found;
}

for (const pooling of webgpu ? (['cls', 'mean'] as const) : []) {
  test(`texts of all lengths become the vectors of cpu, pooling ${pooling}; nearly so in 16 bits`, async () => {
    const expected = await vectors(cpu, pooling);
    const [actual, halves] = [await vectors(webgpu!, pooling), await vectors(webgpu!, pooling, true)];
    const d = config.hiddenSize;
    expected.forEach((values, i) => {
      values.forEach((x, j) => {
        assert.ok(Math.abs(x - actual[i][j]) < 1e-5, `${actual[i][j]} for ${x}`);
      });
      for (const row of [0, 1]) {
        const unit = (all: Float32Array) => all.subarray(row * d, (row + 1) * d);
        const cosine = unit(values).reduce((sum, x, j) => sum + x * unit(halves[i])[j], 0);
        assert.ok(cosine > 0.999 && cosine < 1 - 1e-9, `a cosine of ${cosine}`);
      }
    });
  });
}

/** Losses of some steps, of pairs that are computed in parts of `rows`. */
async function pretrain(device: Device, rows: number): Promise<number[]> {
  const parameters = model();
  createMissing(parameters, headShapes(config, heads));
  const step = new PretrainingStep({ parameters, config, heads, objective, vocabulary, rows, device });
  const adam = { type: 'adamw', learningRate: 1e-3, weightDecay: 0.01, clipNorm: 1 } as const;
  const optimizer = openOptimizer(parameters, adam, device);
  const [reviews, metadata] = [5, 6].map((seed) =>
    [9, 20, 13, 30].map((length) => text(length, seed + length)),
  );
  const losses: number[] = [];
  for (let i = 1; i <= 5; i++) {
    const { contrastive, mlm } = await step.run(reviews, metadata, { seed: 5, step: i }, seeded('masks', i));
    await optimizer.step();
    losses.push(contrastive!, mlm!);
  }
  await step.close();
  return losses;
}

for (const rows of webgpu ? [8, 3] : []) {
  test(`pretraining on webgpu has the losses of cpu, ${rows} of 8 sequences at a time`, async () => {
    const expected = await pretrain(cpu, rows);
    const actual = await pretrain(webgpu!, rows);
    actual.forEach((loss, i) => {
      assert.ok(Math.abs(loss / expected[i] - 1) < 1e-4, `a loss of ${loss}, on cpu ${expected[i]}`);
    });
    assert.is.not(expected[0], expected[2]);
  });
}

test.run();
