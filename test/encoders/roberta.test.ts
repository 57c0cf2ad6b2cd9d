import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RobertaBatches, takeBatch } from '../../encoders/roberta-batches.ts';
import { readRobertaConfig, readRobertaWeights } from '../../encoders/roberta-files.ts';
import {
  encodeTokens,
  poolTokens,
  type RobertaConfig,
  robertaShapes,
  type TokenBatch,
} from '../../encoders/roberta-model.ts';
import { compile, compileGradients, normal, openDevice, Parameters, tf } from '../../engine/index.ts';

const tiny = '../shared/data/tiny-roberta';
const tolerance = 1e-5;

interface Case {
  input_ids: number[];
  last_hidden_state: number[][];
  cls: number[];
  cls_l2: number[];
  mean: number[];
}

async function reference() {
  const { cases } = JSON.parse(readFileSync(join(tiny, 'expected.json'), 'utf8')) as { cases: Case[] };
  const config = await readRobertaConfig(tiny);
  const parameters = await readRobertaWeights(join(tiny, 'model.safetensors'), config);
  return { cases, config, parameters };
}

function near(actual: ArrayLike<number>, expected: readonly number[], within = tolerance): void {
  assert.is(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++)
    assert.ok(Math.abs(actual[i] - expected[i]) <= within, `[${i}]: ${actual[i]} is not ${expected[i]}`);
}

/** Ids and mask of texts padded to `length`. */
function padded(texts: readonly number[][], length: number, padId: number) {
  const shape = [texts.length, length];
  const ids = Int32Array.from(
    texts.flatMap((t) => [...t, ...new Array<number>(length - t.length).fill(padId)]),
  );
  const mask = Float32Array.from(
    texts.flatMap((t) => Array.from({ length }, (_, i) => (i < t.length ? 1 : 0))),
  );
  return {
    ids: { dtype: 'int32' as const, shape, data: ids },
    mask: { dtype: 'float32' as const, shape, data: mask },
  };
}

const ifAtHand = (name: string, body: () => Promise<void>) =>
  test(name, async () => {
    if (!existsSync(tiny)) return console.log(`skipped: ${tiny} is not at hand`);
    await body();
  });

ifAtHand('hidden states equal the float64 reference, each text alone, eager', async () => {
  const { cases, config, parameters } = await reference();
  for (const { input_ids, last_hidden_state } of cases) {
    const hidden = tf.tidy(() => {
      const { ids, mask } = padded([input_ids], input_ids.length, config.padId);
      const batch = {
        ids: tf.tensor2d(ids.data, [1, input_ids.length], 'int32'),
        mask: tf.tensor2d(mask.data, [1, input_ids.length]),
      };
      return encodeTokens(parameters, config, batch, { training: false, positions: 'all' }).dataSync();
    });
    near(hidden, last_hidden_state.flat());
  }
});

ifAtHand('hidden states equal the float64 reference in one padded batch, compiled', async () => {
  const { cases, config, parameters } = await reference();
  for (const threads of [1, 2]) {
    const run = compile(
      (inputs) => ({
        hidden: encodeTokens(parameters, config, inputs as unknown as TokenBatch, {
          training: false,
          positions: 'all',
        }),
      }),
      { parameters, device: openDevice('cpu', { threads }) },
    );
    const { hidden } = await run(
      padded(
        cases.map((c) => c.input_ids),
        64,
        config.padId,
      ),
    );
    cases.forEach(({ last_hidden_state }, row) => {
      const start = row * 64 * config.hiddenSize;
      near(
        (hidden.data as Float32Array).subarray(start, start + last_hidden_state.length * config.hiddenSize),
        last_hidden_state.flat(),
      );
    });
    await run.close();
  }
});

for (const [pooling, normalize, key] of [
  ['cls', 'none', 'cls'],
  ['cls', 'l2', 'cls_l2'],
  ['mean', 'none', 'mean'],
] as const)
  ifAtHand(`${key} vectors equal the reference, alone and in a batch`, async () => {
    const { cases, config, parameters } = await reference();
    const batches = new RobertaBatches(parameters, config, { pooling, normalize }, { threads: 1 });
    const d = config.hiddenSize;
    const together = await batches.encode(cases.map((c) => c.input_ids));
    assert.is(together.length, cases.length * d);
    for (const [row, expected] of cases.entries()) {
      near(await batches.encode([expected.input_ids]), expected[key]);
      near(together.subarray(row * d, (row + 1) * d), expected[key]);
    }
    await batches.close();
  });

const small: RobertaConfig = {
  layers: 2,
  heads: 2,
  hiddenSize: 8,
  innerSize: 12,
  vocabSize: 20,
  maxPositions: 12,
  tokenTypes: 1,
  padId: 1,
  epsilon: 1e-5,
  hiddenDropout: 0.1,
  attentionDropout: 0.1,
};

function randomModel(): Parameters {
  const parameters = new Parameters({ seed: 3 });
  for (const [name, shape] of robertaShapes(small)) parameters.create(name, shape, normal(0.3));
  return parameters;
}

test('padding never changes a vector, whatever stands there', async () => {
  const batches = new RobertaBatches(
    randomModel(),
    small,
    { pooling: 'mean', normalize: 'none' },
    { threads: 1 },
  );
  const alone = await batches.encode([[0, 5, 2]]);
  const beside = await batches.encode([
    [0, 5, 2],
    [0, 7, 8, 9, 10, 11, 2],
    [0, 3, 2],
  ]);
  near(beside.subarray(0, 8), [...alone], 1e-6);
  await batches.close();
});

test('the pooled forward pass can be trained: compiled gradients equal eager ones', async () => {
  const feeds = padded(
    [
      [0, 5, 6, 2],
      [0, 7, 2],
    ],
    4,
    small.padId,
  );
  for (const pooling of ['cls', 'mean'] as const) {
    const parameters = randomModel();
    const loss = (inputs: Record<string, tf.Tensor>) =>
      tf.sum(
        tf.square(poolTokens(parameters, small, inputs as unknown as TokenBatch, pooling, false)),
      ) as tf.Scalar;
    const { grads } = tf.variableGrads(() =>
      loss({ ids: tf.tensor2d(feeds.ids.data, [2, 4], 'int32'), mask: tf.tensor2d(feeds.mask.data, [2, 4]) }),
    );
    const expected = new Map(parameters.all().map((p) => [p.name, grads[p.variable.name].dataSync()]));
    const run = compileGradients(loss, { parameters, threads: 1 });
    await run(feeds);
    for (const [name, values] of expected) near(parameters.view(name, 'gradient'), [...values], 2e-4);
    await run.close();
    parameters.dispose();
  }
});

test('batches hold as many texts as their padded size allows', () => {
  const encode = (text: string) => new Array<number>(Number(text)).fill(5);
  const sizes = (texts: string[], first: number, tokens: number) =>
    takeBatch(texts, first, encode, tokens).map((t) => t.length);
  assert.equal(sizes(['100', '90', '3', '3', '3'], 0, 512), [100, 90, 3, 3]); // 128 tokens each, 4 fit
  assert.equal(sizes(['100', '90', '3', '3', '3'], 1, 512), [90, 3, 3, 3]); // 96 tokens each, 5 would, 4 are a power of two
  assert.equal(sizes(['600', '3'], 0, 512), [600]);
  assert.equal(sizes(['3', '3', '600'], 0, 512), [3, 3]);
});

test.run();
