import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { machineQuantisation, quantiseColumns } from '../../encoders/quantise.ts';
import { planBatches, RobertaBatches } from '../../encoders/roberta-batches.ts';
import { readRobertaConfig, readRobertaWeights } from '../../encoders/roberta-files.ts';
import { robertaGraph } from '../../encoders/roberta-graph.ts';
import {
  encodeTokens,
  normaliseVectors,
  poolTokens,
  type RobertaConfig,
  robertaShapes,
  type TokenBatch,
} from '../../encoders/roberta-model.ts';
import {
  compile,
  compileGradients,
  cpuDevice,
  normal,
  Parameters,
  tf,
  transpose,
} from '../../engine/index.ts';
import { skipped } from '../skip.ts';

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
    if (!existsSync(tiny)) return skipped(`${tiny} is not at hand`);
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
      { parameters, device: cpuDevice({ threads }) },
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

/** Vectors by the graph for use, each batch of one length. */
async function embed(batches: RobertaBatches, texts: readonly number[][], width: number) {
  const rows: Float32Array[] = [];
  for (const batch of planBatches(
    texts.map((ids) => ids.length),
    64,
  )) {
    const values = await batches.encode(batch.map((row) => texts[row]));
    batch.forEach((row, k) => {
      rows[row] = values.slice(k * width, (k + 1) * width);
    });
  }
  return rows;
}

const device = cpuDevice({ threads: 1 });

for (const [pooling, normalize, key] of [
  ['cls', 'none', 'cls'],
  ['cls', 'l2', 'cls_l2'],
  ['mean', 'none', 'mean'],
] as const)
  ifAtHand(`${key} vectors equal the reference, in 8-bit integers nearly`, async () => {
    const { cases, config, parameters } = await reference();
    const texts = cases.map((c) => c.input_ids);
    const exact = await RobertaBatches.load(parameters, config, { pooling, normalize }, device);
    for (const [row, vector] of (await embed(exact, texts, config.hiddenSize)).entries())
      near(vector, cases[row][key]);
    await exact.close();
    for (const levels of [127, 63] as const) {
      const options = { pooling, normalize, quantisation: { levels } };
      const rough = await RobertaBatches.load(parameters, config, options, device);
      for (const [row, vector] of (await embed(rough, texts, config.hiddenSize)).entries()) {
        assert.ok(cosine(vector, cases[row][key]) > 0.999, `${levels} levels: text ${row}`);
        assert.not.equal([...vector], cases[row][key].map(Math.fround));
      }
      await rough.close();
    }
  });

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const dot = (x: ArrayLike<number>, y: ArrayLike<number>) =>
    Array.from(x).reduce((sum, value, i) => sum + value * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

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

test('padding never changes a vector, on whichever side it stands, whatever stands there', async () => {
  const parameters = randomModel();
  const texts = [
    [0, 5, 2],
    [0, 7, 8, 9, 10, 11, 2],
    [0, 3, 2],
  ];
  for (const pooling of ['cls', 'mean'] as const) {
    const options = { pooling, normalize: 'none' } as const;
    const alone = await embed(await RobertaBatches.load(parameters, small, options, device), texts, 8);
    const graph = robertaGraph(parameters, small, { ...options, padded: true });
    const executable = await device.load(graph);
    // The vector of a text is that of its first place, so padding before it is for the mean only.
    for (const before of pooling === 'mean' ? [0, 1] : [0]) {
      const shape = [texts.length, 9];
      const ids = new Int32Array(27).fill(4);
      const mask = new Int32Array(27);
      texts.forEach((text, row) => {
        ids.set(text, row * 9 + before);
        mask.fill(1, row * 9 + before, row * 9 + before + text.length);
      });
      const embedding = { dtype: 'float32' as const, shape: [3, 8], data: new Float32Array(24) };
      const feeds = {
        input_ids: { dtype: 'int32' as const, shape, data: ids },
        attention_mask: { dtype: 'int32' as const, shape, data: mask },
      };
      await executable.run(feeds, { embedding }, { seed: 0, step: 0 });
      alone.forEach(
        (vector, row) => void near(embedding.data.subarray(row * 8, row * 8 + 8), [...vector], 1e-6),
      );
    }
    await executable.release();
  }
});

test('the graph for use computes what is trained', async () => {
  const parameters = randomModel();
  const texts = [
    [0, 5, 6, 2],
    [0, 7, 8, 2],
  ];
  for (const pooling of ['cls', 'mean'] as const)
    for (const normalize of ['none', 'l2'] as const) {
      const forward = (inputs: Record<string, tf.Tensor>) => {
        const pooled = poolTokens(parameters, small, inputs as unknown as TokenBatch, pooling, false);
        return { vectors: normaliseVectors(pooled, normalize) };
      };
      const run = compile(forward, { parameters, device });
      const { vectors } = await run(padded(texts, 4, small.padId));
      const batches = await RobertaBatches.load(parameters, small, { pooling, normalize }, device);
      near(await batches.encode(texts), [...(vectors.data as Float32Array)], 1e-6);
      await batches.close();
      await run.close();
    }
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

test('batches hold texts of one length, longest first, as many as fit', () => {
  assert.equal(planBatches([3, 5, 3, 3, 5, 4], 6), [[1], [4], [5], [0, 2], [3]]);
  assert.equal(planBatches([3, 5, 3, 3, 5, 4], 1000), [[1, 4], [5], [0, 2, 3]]);
  assert.equal(planBatches([7], 1), [[0]]);
  assert.equal(planBatches([], 100), []);
});

test('a quantised column is within half a step of what it was', () => {
  const values = transpose(normalised(6 * 40), [6, 40]);
  for (const levels of [127, 63] as const) {
    const { integers, scales } = quantiseColumns(values, 6, { levels });
    for (let c = 0; c < 6; c++) {
      const column = Array.from({ length: 40 }, (_, r) => values[r * 6 + c]);
      const most = Math.max(...column.map(Math.abs));
      assert.ok(Math.abs(scales[c] * levels - most) < 1e-6 * most);
      column.forEach(
        (x, r) => void assert.ok(Math.abs(integers[r * 6 + c] * scales[c] - x) <= scales[c] * 0.501),
      );
    }
  }
  assert.equal([...quantiseColumns(new Float32Array(4), 2, { levels: 127 }).integers], [0, 0, 0, 0]);
});

test('a matrix is transposed, whatever its size', () => {
  const [rows, columns] = [70, 33];
  const values = Float32Array.from({ length: rows * columns }, (_, i) => i);
  const turned = transpose(values, [rows, columns]);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) assert.is(turned[c * rows + r], values[r * columns + c]);
});

test('this machine multiplies bytes exactly with the levels that it is given', async () => {
  assert.ok([127, 63].includes((await machineQuantisation()).levels));
});

function normalised(count: number): Float32Array {
  const random = seeded('quantise');
  return Float32Array.from({ length: count }, () => random.normal());
}

test.run();
