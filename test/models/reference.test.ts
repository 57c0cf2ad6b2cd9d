import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { noise, Parameters, tf, withRandomness } from '../../engine/index.ts';
import type { History, Items, Recommender } from '../../models/index.ts';
import { models } from '../../models/index.ts';
import { trainedModel } from './support.ts';

// The models' formulas, written again in plain loops and double precision from the papers and the official code.

const ITEMS = 7;
const TEXT = 5;
const MAX_HISTORY = 6;

type Vector = number[];
type Matrix = number[][];

const dot = (a: Vector, b: Vector) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const add = (a: Vector, b: Vector) => a.map((x, i) => x + b[i]);
const column = (m: Matrix, j: number) => m.map((row) => row[j]);
/** x W (+ b) */
const affine = (x: Vector, w: Matrix, b?: Vector): Vector =>
  w[0].map((_, j) => dot(x, column(w, j)) + (b?.[j] ?? 0));
const softmax = (x: Vector): Vector => {
  const e = x.map((v) => Math.exp(v - Math.max(...x)));
  return e.map((v) => v / e.reduce((a, b) => a + b));
};
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
/** x Phi(x), with the normal distribution's integral by Simpson's rule. */
const gelu = (x: number) => {
  const n = 2000;
  const density = (t: number) => Math.exp(-t * t * 0.5) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(x);
  for (let i = 1; i < n; i++) sum += (i % 2 ? 4 : 2) * density((x * i) / n);
  return x * (0.5 + (sum * x) / n / 3);
};

interface Made {
  model: Recommender;
  parameters: Parameters;
  matrix(name: string): Matrix;
  vector(name: string): Vector;
}

/** A model with random parameters, all of them well away from zero and one. */
function make(name: string, settings: Record<string, unknown>): Made {
  const parameters = new Parameters({ seed: 1 });
  const { build, config, input } = trainedModel(name);
  const textDims = input === 'id' ? 0 : TEXT;
  const context = { itemCount: ITEMS, textDims, maxHistory: MAX_HISTORY, parameters };
  const model = build(config.parse(settings), context);
  for (const { name, values } of parameters.all()) {
    const random = seeded('reference', name);
    for (let i = 0; i < values.length; i++) values[i] += 0.4 * random.normal();
  }
  const matrix = (name: string): Matrix => {
    const { values, shape } = parameters.get(name);
    return Array.from({ length: shape[0] }, (_, i) =>
      Array.from(values.subarray(i * shape[1], (i + 1) * shape[1])),
    );
  };
  return { model, parameters, matrix, vector: (name) => Array.from(parameters.get(name).values) };
}

const random = seeded('reference texts');
const texts: Matrix = Array.from({ length: ITEMS }, () =>
  Array.from({ length: TEXT }, () => random.normal()),
);
const ids = [3, 0, 6, 3, 2];

/** The model's item vectors, and its vectors after every position of `ids`. */
function outputs({ model }: Made): { items: Matrix; sequence: Matrix } {
  return tf.tidy(() => {
    const mode = { training: false };
    const source: Items = { count: ITEMS, text: tf.tensor2d(texts), rows: (table) => table };
    const items = model.items(source, mode);
    const flat = tf.tensor1d(ids, 'int32');
    const history = {
      batch: 1,
      length: ids.length,
      vectors: tf.expandDims(tf.gather(items, flat), 0),
      lengths: tf.tensor1d([ids.length], 'int32'),
    } as History;
    const sequence = model.sequence(history, mode).arraySync()[0];
    return { items: items.arraySync(), sequence };
  });
}

function close(actual: Matrix, expected: Matrix, what: string): void {
  assert.is(actual.length, expected.length);
  for (const [i, row] of expected.entries())
    for (const [j, x] of row.entries())
      assert.ok(
        Math.abs(actual[i][j] - x) < 2e-5 * (1 + Math.abs(x)),
        `${what}[${i}][${j}] is ${actual[i][j]}, expected ${x}`,
      );
}

/** SASRec's encoder in RecBole's form: post-norm blocks, GELU, layer norm with epsilon 1e-12. */
function transformer({ matrix, vector }: Made, x: Matrix, layers: number, heads: number): Matrix {
  const layerNorm = (name: string) => (row: Vector) => {
    const mean = row.reduce((a, b) => a + b) / row.length;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row.length;
    const [gain, shift] = [vector(`${name}.weight`), vector(`${name}.bias`)];
    return row.map((v, i) => ((v - mean) / Math.sqrt(variance + 1e-12)) * gain[i] + shift[i]);
  };
  const dense = (name: string) => (row: Vector) =>
    affine(row, matrix(`${name}.weight`), vector(`${name}.bias`));
  const positions = matrix('transformer.position.weight');
  let h = x.map((row, i) => add(row, positions[i])).map(layerNorm('transformer.norm'));
  for (let layer = 0; layer < layers; layer++) {
    const own = `transformer.layer.${layer}`;
    const [q, k, v] = ['query', 'key', 'value'].map((part) => h.map(dense(`${own}.${part}`)));
    const width = h[0].length / heads;
    const attended = h.map((_, i) =>
      Array.from({ length: heads }, (_, head) => {
        const part = (row: Vector) => row.slice(head * width, (head + 1) * width);
        const seen = k.slice(0, i + 1);
        const weights = softmax(seen.map((key) => dot(part(q[i]), part(key)) / Math.sqrt(width)));
        return weights.map((w, j) => part(v[j]).map((value) => w * value)).reduce(add);
      }).flat(),
    );
    const y = attended
      .map(dense(`${own}.out`))
      .map((row, i) => add(row, h[i]))
      .map(layerNorm(`${own}.attention_norm`));
    const inner = y.map(dense(`${own}.inner`)).map((row) => row.map(gelu));
    h = inner
      .map(dense(`${own}.outer`))
      .map((row, i) => add(row, y[i]))
      .map(layerNorm(`${own}.output_norm`));
  }
  return h;
}

test('sasrec: post-norm blocks over items and positions', () => {
  const made = make('sasrec', { hiddenSize: 6, innerSize: 5, layers: 2, heads: 3 });
  const { items, sequence } = outputs(made);
  const table = made.matrix('item.weight');
  close(items, table, 'items');
  const expected = transformer(
    made,
    ids.map((id) => table[id]),
    2,
    3,
  );
  close(sequence, expected, 'sequence');
});

test('sasrec-text: two layers with a ReLU between them project the texts', () => {
  const made = make('sasrec-text', { hiddenSize: 4, innerSize: 5, adaptorSize: 6, layers: 1, heads: 2 });
  const { items, sequence } = outputs(made);
  const { matrix, vector } = made;
  const table = texts.map((text) => {
    const wide = affine(text, matrix('adaptor.0.weight'), vector('adaptor.0.bias')).map((x) =>
      Math.max(0, x),
    );
    return affine(wide, matrix('adaptor.1.weight'), vector('adaptor.1.bias'));
  });
  close(items, table, 'items');
  close(
    sequence,
    transformer(
      made,
      ids.map((id) => table[id]),
      1,
      2,
    ),
    'sequence',
  );
});

for (const adaptor of ['shared', 'separate'])
  for (const stage of ['inductive', 'transductive', 'pretrain'])
    test(`unisrec ${stage} ${adaptor}: a mixture of whitened experts (Hou et al., eq. 2-4)`, () => {
      const settings = { hiddenSize: 4, innerSize: 5, layers: 1, heads: 2, experts: 3, stage, adaptor };
      const made = make('unisrec', settings);
      const { items, sequence } = outputs(made);
      const { matrix } = made;
      const table = texts.map((text, item) => {
        const gates = softmax(affine(text, matrix('adaptor.gate')));
        const experts = gates.map((gate, k) => {
          // Expert k's matrix is the k-th block of columns.
          const w = matrix('adaptor.weight').map((row) => row.slice(4 * k, 4 * (k + 1)));
          const whitened = text.map((x, i) => x - matrix('adaptor.shift')[k][i]);
          return affine(whitened, w).map((x) => gate * x);
        });
        const mixed = experts.reduce(add);
        return stage === 'transductive' ? add(mixed, matrix('item.weight')[item]) : mixed;
      });
      close(items, table, 'items');
      close(
        sequence,
        transformer(
          made,
          ids.map((id) => table[id]),
          1,
          2,
        ),
        'sequence',
      );
      assert.is(made.model.similarity, 'cosine');
      assert.is(made.model.temperature, 0.07);
    });

test('unisrec: in training, gates get noise of a learned size', () => {
  const made = make('unisrec', { hiddenSize: 4, layers: 1, experts: 3, adaptorDropout: 0 });
  const { matrix } = made;
  const at = { seed: 4, step: 2 };
  const [drawn, items] = tf.tidy(() => {
    const source: Items = { count: ITEMS, text: tf.tensor2d(texts), rows: (table) => table };
    const sample = withRandomness(at, () => noise([ITEMS, 3]).arraySync() as Matrix);
    return [sample, withRandomness(at, () => made.model.items(source, { training: true })).arraySync()];
  });
  const expected = texts.map((text, item) => {
    const size = affine(text, matrix('adaptor.gate_noise')).map((x) => Math.log(1 + Math.exp(x)) + 0.01);
    const logits = affine(text, matrix('adaptor.gate')).map((x, k) => x + drawn[item][k] * size[k]);
    return softmax(logits)
      .map((gate, k) => {
        const w = matrix('adaptor.weight').map((row) => row.slice(4 * k, 4 * (k + 1)));
        const whitened = text.map((x, i) => x - matrix('adaptor.shift')[k][i]);
        return affine(whitened, w).map((x) => gate * x);
      })
      .reduce(add);
  });
  close(items, expected, 'items');
});

test('gru4rec: gates as PyTorch has them, layers stacked, a dense layer back', () => {
  const made = make('gru4rec', { embeddingSize: 3, hiddenSize: 4, layers: 2 });
  const { items, sequence } = outputs(made);
  const { matrix, vector } = made;
  const table = matrix('item.weight');
  close(items, table, 'items');
  let x = ids.map((id) => table[id]);
  for (const layer of ['gru.0', 'gru.1']) {
    let h: Vector = [0, 0, 0, 0];
    x = x.map((row) => {
      const input = affine(row, matrix(`${layer}.input.weight`), vector(`${layer}.input.bias`));
      const hidden = affine(h, matrix(`${layer}.hidden.weight`), vector(`${layer}.hidden.bias`));
      h = h.map((old, i) => {
        const reset = sigmoid(input[i] + hidden[i]);
        const update = sigmoid(input[4 + i] + hidden[4 + i]);
        const candidate = Math.tanh(input[8 + i] + reset * hidden[8 + i]);
        return (1 - update) * candidate + update * old;
      });
      return h;
    });
  }
  close(
    sequence,
    x.map((h) => affine(h, matrix('dense.weight'), vector('dense.bias'))),
    'sequence',
  );
});

test("the defaults are the paper's", () => {
  const defaults = (name: string) => models.get(name).config.parse({});
  const transformerSettings = {
    innerSize: 256,
    layers: 2,
    heads: 2,
    hiddenDropout: 0.5,
    attentionDropout: 0.5,
  };
  assert.equal(defaults('sasrec'), { hiddenSize: 64, ...transformerSettings });
  assert.equal(defaults('sasrec-text'), {
    hiddenSize: 64,
    ...transformerSettings,
    adaptorSize: 300,
    adaptorDropout: 0.2,
  });
  assert.equal(defaults('gru4rec'), { embeddingSize: 64, hiddenSize: 128, layers: 1, dropout: 0.3 });
  const { stage, experts, adaptorDropout, temperature, hiddenSize, contrastWeight, dropItems } =
    defaults('unisrec');
  assert.equal(
    { stage, experts, adaptorDropout, temperature, hiddenSize, contrastWeight, dropItems },
    {
      stage: 'inductive',
      experts: 8,
      adaptorDropout: 0.2,
      temperature: 0.07,
      hiddenSize: 300,
      contrastWeight: 1e-3,
      dropItems: 0.2,
    },
  );
});

test("initial values are the official code's", () => {
  const parameters = new Parameters({ seed: 1 });
  const context = { itemCount: 500, textDims: 64, maxHistory: 50, parameters };
  const { build, config } = trainedModel('unisrec');
  build(config.parse({ hiddenSize: 64 }), context);
  for (const { name, values } of parameters.all()) {
    const deviation = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    if (/norm\.weight$/.test(name))
      assert.ok(
        values.every((x) => x === 1),
        name,
      );
    else if (/\.bias$|shift|gate/.test(name))
      assert.ok(
        values.every((x) => x === 0),
        name,
      );
    else assert.ok(Math.abs(deviation - 0.02) < 0.001, `${name}: ${deviation}`);
  }
});

test('heads that do not divide the hidden size are refused', () => {
  for (const name of ['sasrec', 'sasrec-text', 'unisrec'])
    assert.throws(
      () => models.get(name).config.parse({ hiddenSize: 10, heads: 3 }),
      /model\.heads must divide model\.hiddenSize/,
    );
});

test('a model that is not registered is named with the nearest', () => {
  assert.throws(
    () => models.get('sasrek'),
    /unknown model 'sasrek' \(from --model\); did you mean 'sasrec'\?/,
  );
});

test.run();
