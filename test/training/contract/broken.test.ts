import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { dropout, normal, tf } from '../../../engine/index.ts';
import { defineBaseline, defineModel, type History, type Recommender } from '../../../models/index.ts';
import { embedding } from '../../../models/layers.ts';
import { contractOf } from '../../../training/contract/index.ts';

// Models that break one rule each: the check must find it, and say why.

const SIZE = 4;
type Part = Partial<Recommender>;

/** A model that keeps the contract (the last item's vector, translated), with parts of it replaced. */
function model(breaking: (table: tf.Tensor2D, offset: tf.Tensor) => Part) {
  return defineModel({
    name: 'broken',
    summary: '',
    input: 'id',
    config: z.strictObject({}),
    build(_config, { itemCount, parameters }) {
      const table = embedding(parameters, 'item', itemCount, SIZE, true);
      const offset = parameters.create('offset', [SIZE], normal(0.1)) as tf.Tensor;
      return {
        items: (items) => items.rows(table),
        sequence: ({ vectors }) => tf.add(vectors, offset) as tf.Tensor3D,
        ...breaking(table, offset),
      };
    },
  });
}

/** What the checks find, by rule. */
async function failures(definition: Parameters<typeof contractOf>[0]): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { checks } of contractOf(definition))
    for (const { name, run } of checks)
      await run().catch((error: Error) => {
        found[name] = error.message;
      });
  return found;
}

const like = (x: tf.Tensor, values: tf.Tensor) => tf.add(x, values) as tf.Tensor3D;

const cases: [string, rule: string, message: RegExp, Parameters<typeof model>[0]][] = [
  [
    'a mean over all positions',
    'causality',
    /^changing item 1 of a history changes the vector after item 0, by 0\.\d+: sequence\(\) looks ahead/,
    (_, offset) => ({ sequence: ({ vectors }) => like(tf.mean(vectors, 1, true), like(vectors, offset)) }),
  ],
  [
    'padding that leaks',
    'padding',
    /padding, and must not count/,
    () => ({
      // The whole row's length decides, padding included.
      sequence: ({ vectors, length }) => tf.mul(vectors, length) as tf.Tensor3D,
    }),
  ],
  [
    'one vector a history',
    'shapes',
    /^sequence\(\) returned \[2, 1, 4\] where \[batch, length, d\] = \[2, 5, 4\] was expected/,
    () => ({ sequence: ({ vectors }) => tf.slice(vectors, [0, 0, 0], [-1, 1, -1]) }),
  ],
  [
    'another width than that of items',
    'shapes',
    /^sequence\(\) returned \[2, 5, 8\] where .* as wide as those of items\(\)/,
    () => ({ sequence: ({ vectors }) => tf.concat([vectors, vectors], 2) }),
  ],
  [
    'a failure of its own',
    'shapes',
    /^sequence\(\) failed \(.*broken\.test\.ts:\d+:\d+\): Operands could not be broadcast together with shapes 2,5,4 and 3/,
    () => ({ sequence: ({ vectors }) => like(vectors, tf.zeros([3])) }),
  ],
  [
    'items that are mixed',
    'items',
    /^item 5 has another vector, by \d.*mix nothing across items/,
    (table) => ({
      items: (items) => tf.sub(items.rows(table), tf.mean(items.rows(table), 0, true)) as tf.Tensor2D,
    }),
  ],
  [
    'the whole table whatever items are asked for',
    'items',
    /items\(\) returned \[13, 4\] for 4 items; it must return \[count, d\]/,
    (table) => ({ items: () => table }),
  ],
  [
    'a gradient that is wrong',
    'gradients',
    /the loss rises by .* its gradient says .*tf\.customGrad/,
    (_, offset) => {
      const doubled = tf.customGrad((x) => ({
        value: (x as tf.Tensor).clone(),
        gradFunc: (dy: tf.Tensor) => tf.mul(dy, 2),
      }));
      return { sequence: ({ vectors }) => like(doubled(vectors), offset) };
    },
  ],
  [
    'random numbers of its own',
    'compilation',
    /the compiled (loss|gradient) .*do not compile/,
    (_, offset) => ({
      sequence: ({ vectors }, { training }) =>
        training ? like(tf.mul(vectors, 1 + Math.random()), offset) : like(vectors, offset),
    }),
  ],
  [
    'initial values of its own',
    'determinism',
    /^built twice with one seed, the model has losses of .* not from Math\.random/,
    (_, offset) => {
      const own = Math.random();
      return { sequence: ({ vectors }) => like(tf.mul(vectors, own), offset) };
    },
  ],
  [
    'dropout outside of training',
    'determinism',
    /^sequence\(\) gives other vectors each time outside of training/,
    (_, offset) => ({ sequence: ({ vectors }) => like(dropout(vectors, 0.5), offset) }),
  ],
  [
    'values that are not saved',
    'saving',
    /^loaded from a checkpoint, the model gives other scores/,
    (table) => {
      const kept = tf.keep(tf.tensor(table.dataSync().slice(0, SIZE)));
      return { sequence: ({ vectors }) => like(vectors, kept) };
    },
  ],
  [
    'a history that is not looked at',
    'causality',
    /^changing item 1 of a history does not change the vector after it/,
    (_, offset) => ({ sequence: ({ vectors }: History) => like(tf.mul(vectors, 0), offset) }),
  ],
  [
    'a gradient that is not finite',
    'finite',
    /^the gradient of item\.weight is not finite, though the loss is: a root/,
    (_, offset) => ({
      sequence: ({ vectors }) => like(tf.sqrt(tf.relu(tf.sub(vectors, 1e9))), like(vectors, offset)),
    }),
  ],
  [
    'values that are not finite',
    'shapes',
    /^sequence\(\) returned a value that is not finite/,
    (_, offset) => ({ sequence: ({ vectors }) => tf.div(like(vectors, offset), 0) as tf.Tensor3D }),
  ],
];

test('the model that is broken below keeps every rule before', async () => {
  assert.equal(await failures(model(() => ({}))), {});
});

for (const [title, rule, message, breaking] of cases) {
  test(`${title}: breaks '${rule}', and is told why`, async () => {
    const found = await failures(model(breaking));
    assert.match(found[rule] ?? `nothing; but ${JSON.stringify(found)}`, message);
  });
}

test('baselines: scores that look at what is tested, and a score changed in silence', async () => {
  const baseline = (fit: Parameters<typeof defineBaseline>[0]['fit']) =>
    failures(defineBaseline({ name: 'broken', summary: '', config: z.strictObject({}), fit }));
  const peeking = await baseline((_config, { pool, itemCount }) => {
    const base = new Float32Array(itemCount);
    for (const item of pool) base[item]++;
    return { base };
  });
  assert.match(peeking['training rows'], 'those are what is validated and tested with');
  const silent = await baseline((_config, { itemCount }) => ({
    base: new Float32Array(itemCount),
    rescore(history, scores) {
      for (const item of history) scores[item] = 1;
      return [];
    },
  }));
  assert.match(silent.scores, 'rescore() changed a score without naming its item');
});

test.run();
