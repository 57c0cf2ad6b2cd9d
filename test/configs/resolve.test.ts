import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { UsageError } from '../../common/errors.ts';
import { assignmentLayer, flagLayer, readYamlLayer, yamlLayer } from '../../configs/layers.ts';
import { resolve } from '../../configs/resolve.ts';
import { describeSchema, withDefaults } from '../../configs/schema.ts';
import type { Layer } from '../../configs/values.ts';
import { configAsYaml } from '../../configs/write.ts';

const schema = z.strictObject({
  model: z.strictObject({
    hiddenSize: z.int().positive().default(64).describe('width of a vector'),
    activation: z.enum(['relu', 'gelu']).default('relu'),
    dropout: z.number().min(0).lt(1).default(0.5),
  }),
  train: z.strictObject({
    epochs: z.int().positive().default(300),
    learningRate: z.number().positive().default(1e-3),
    clip: z.number().positive().nullable().default(null),
    warmup: z.int().optional(),
  }),
  eval: z.strictObject({
    topk: z.array(z.int().positive()).min(1).default([10, 50]),
    filterSeen: z.boolean().default(false),
  }),
  source: z.string().default(''),
  seed: z.int().default(2020),
});

function failure(...layers: (() => Layer)[]): string {
  try {
    resolve(
      schema,
      layers.map((layer) => layer()),
    );
  } catch (error) {
    assert.instance(error, UsageError);
    return (error as Error).message;
  }
  throw new Error('no error');
}

const set = (...assignments: string[]) => assignmentLayer(schema, assignments);
const yaml = (text: string) => yamlLayer(text, 'my.yaml');

test('defaults alone', () => {
  const { config, origins } = resolve(schema, []);
  assert.equal(config, {
    model: { hiddenSize: 64, activation: 'relu', dropout: 0.5 },
    train: { epochs: 300, learningRate: 1e-3, clip: null },
    eval: { topk: [10, 50], filterSeen: false },
    source: '',
    seed: 2020,
  });
  assert.ok(Object.values(origins).every((origin) => origin === 'default'));
  assert.is(origins['model.hiddenSize'], 'default');
});

test('later layers win value by value, and origins follow', () => {
  const model = yamlLayer(
    'model:\n  hiddenSize: 300\n  dropout: 0.2\ntrain:\n  epochs: 5',
    'configs/models/m.yaml',
  );
  const { config, origins } = resolve(schema, [
    model,
    yaml('# mine\nmodel:\n  hiddenSize: 128\neval:\n  topk: [1, 5]\n'),
    set('model.hiddenSize=32', 'eval.topk=10,20'),
    flagLayer(schema, { seed: ['--seed', '7'], source: ['--dataset', undefined] }),
  ]);
  assert.is(config.model.hiddenSize, 32);
  assert.is(config.model.dropout, 0.2);
  assert.is(config.train.epochs, 5);
  assert.equal(config.eval.topk, [10, 20]);
  assert.is(config.seed, 7);
  assert.is(origins['model.hiddenSize'], '--set');
  assert.is(origins['model.dropout'], 'configs/models/m.yaml:3');
  assert.is(origins['train.epochs'], 'configs/models/m.yaml:5');
  assert.is(origins['eval.topk'], '--set');
  assert.is(origins.seed, '--seed');
  assert.is(origins['model.activation'], 'default');
  assert.is(resolve(schema, [yaml('\n\neval:\n  topk: [1]')]).origins['eval.topk'], 'my.yaml:4');
});

test('dotted keys, comments-only sections, empty files and aliases in YAML', () => {
  const { config, origins } = resolve(schema, [yaml('model.hiddenSize: 8\ntrain:\n  # epochs: 3\n')]);
  assert.is(config.model.hiddenSize, 8);
  assert.is(config.train.epochs, 300);
  assert.is(origins['model.hiddenSize'], 'my.yaml:1');
  assert.is(resolve(schema, [yaml('')]).config.seed, 2020);
  assert.is(resolve(schema, [yaml('# nothing\n')]).config.seed, 2020);
  assert.is(resolve(schema, [yaml('seed: &s 3\ntrain:\n  epochs: *s')]).config.train.epochs, 3);
});

test('--set reads what the schema asks for', () => {
  const value = (...assignments: string[]) => resolve(schema, [set(...assignments)]).config;
  assert.equal(value('eval.topk=[1, 5]').eval.topk, [1, 5]);
  assert.equal(value('eval.topk=1,5').eval.topk, [1, 5]);
  assert.equal(value('eval.topk=5').eval.topk, [5]);
  assert.is(value('source=2014').source, '2014');
  assert.is(value('source=a=b,c: d').source, 'a=b,c: d');
  assert.is(value('source=').source, '');
  assert.is(value('source=[broken').source, '[broken');
  assert.is(value('train.learningRate=3e-4').train.learningRate, 3e-4);
  assert.is(value('train.clip=1').train.clip, 1);
  assert.is(value('train.clip=1', 'train.clip=null').train.clip, null);
  assert.is(value('eval.filterSeen=true').eval.filterSeen, true);
  assert.is(value('seed=1', 'seed=2').seed, 2);
});

test('an unknown key names its origin and the nearest valid key', () => {
  const unknown = (assignment: string) => failure(() => set(assignment));
  assert.is(
    unknown('model.hidenSize=3'),
    "unknown key 'model.hidenSize', from --set; did you mean 'model.hiddenSize'? Keys of model: hiddenSize, activation, dropout.",
  );
  assert.match(unknown('hiddenSize=3'), "did you mean 'model.hiddenSize'?");
  assert.match(unknown('hidden_size=3'), "did you mean 'model.hiddenSize'?");
  assert.match(unknown('train.hiddenSize=3'), "did you mean 'model.hiddenSize'?");
  assert.match(unknown('modle.hiddenSize=3'), "did you mean 'model.hiddenSize'?");
  assert.match(unknown('model.HiddenSize=3'), "did you mean 'model.hiddenSize'?");
  assert.match(unknown('train.epoch=3'), "did you mean 'train.epochs'?");
  assert.match(unknown('sed=3'), "did you mean 'seed'?");
  assert.not.match(unknown('qqqqqqqq=3'), 'did you mean');
  assert.match(unknown('seed.x=3'), 'seed must be integer, got {"x":3}');
  assert.match(unknown('__proto__.x=3'), "unknown key '__proto__.x'");
  assert.match(unknown('constructor=3'), "unknown key 'constructor'");
  assert.match(
    failure(() => yaml('seed: 1\nmodel:\n  droput: 0.1')),
    "unknown key 'model.droput', from my.yaml:3; did you mean 'model.dropout'?",
  );
});

test('a wrong value names what is expected, what was received and where', () => {
  const wrong = (assignment: string) => failure(() => set(assignment));
  assert.is(
    wrong('model.hiddenSize=abc'),
    "model.hiddenSize must be integer > 0, got the text 'abc', from --set",
  );
  assert.is(wrong('model.hiddenSize=1.5'), 'model.hiddenSize must be integer > 0, got 1.5, from --set');
  assert.match(wrong('model.dropout=1'), 'must be number >= 0 and < 1, got 1');
  assert.match(wrong('model.activation=rel'), "must be one of 'relu', 'gelu', got the text 'rel'");
  assert.match(wrong('eval.topk=[1,a]'), 'must be non-empty list of (integer > 0), got [1,"a"]');
  assert.match(wrong('eval.topk=[]'), 'must be non-empty list');
  assert.match(wrong('eval.filterSeen=yes'), "must be true or false, got the text 'yes'");
  assert.match(wrong('train.clip=x'), 'must be number > 0 or null');
  assert.match(wrong('seed='), 'seed must be integer, got nothing');
  assert.match(
    wrong('model=3'),
    'model is a section, not a value: got 3, from --set. Keys of model: model.hiddenSize',
  );
  assert.match(
    failure(() => yaml('model:\n  hiddenSize: big')),
    "got the text 'big', from my.yaml:2",
  );
  assert.match(
    failure(() => flagLayer(schema, { seed: ['--seed', 'x'] })),
    "seed must be integer, got the text 'x', from --seed",
  );
  // An error in one layer is one even where a later layer would hide it.
  assert.match(
    failure(
      () => yaml('seed: x'),
      () => set('seed=3'),
    ),
    'my.yaml:1',
  );
});

test('malformed assignments and files are explained', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rec-configs-'));
  try {
    assert.match(
      failure(() => set('train.epochs')),
      '--set train.epochs: expected key=value',
    );
    assert.match(
      failure(() => set('=3')),
      'expected key=value',
    );
    assert.match(
      failure(() => set('eval.topk=[1,')),
      '--set eval.topk=[1,: not a valid value',
    );
    assert.match(
      failure(() => yaml('seed: 1\nseed: 2')),
      "my.yaml:2: a key is given twice: 'seed: 2'",
    );
    assert.match(
      failure(() => yaml('model:\n  dropout: 0.1\nmodel.dropout: 0.2')),
      "my.yaml:3: 'model.dropout' is given twice (first on line 2)",
    );
    assert.match(
      failure(() => yaml('model: [1')),
      /my\.yaml:1:\d+: not valid YAML/,
    );
    assert.match(
      failure(() => yaml('- 1\n- 2')),
      "expected 'key: value' lines, found a list",
    );
    assert.match(
      failure(() => yaml('hello')),
      'found one value',
    );
    assert.match(
      failure(() => readYamlLayer(join(folder, 'none.yaml'))),
      /none\.yaml: does not exist/,
    );
    assert.match(
      failure(() => readYamlLayer(folder)),
      'is a folder',
    );
    writeFileSync(join(folder, 'a.yaml'), 'sed: 1');
    assert.match(
      failure(() => readYamlLayer(join(folder, 'a.yaml'))),
      'a.yaml:1',
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('missing required values and rules between keys', () => {
  const strict = z
    .strictObject({ path: z.string().describe('a file'), low: z.int().default(0), high: z.int().default(1) })
    .refine((v) => v.low < v.high, { path: ['high'], message: 'must be above low' });
  const attempt = (...layers: Layer[]) => {
    try {
      return resolve(strict, layers) && '';
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.match(attempt(), 'path is required (text): give it with --set path=...');
  assert.is(attempt(yaml('path: x\nhigh: 0')), 'high: must be above low, from my.yaml:2');
});

test('the written configuration reads back to the same, with origins in comments', () => {
  const layers = [
    yaml('model:\n  dropout: 0.25'),
    set('eval.topk=1,5', 'source=a: "b" # c\\n', 'train.clip=null'),
  ];
  const first = resolve(schema, layers);
  const text = configAsYaml(schema, first.config, first.origins);
  assert.match(text, '  dropout: 0.25  # my.yaml:2\n');
  assert.match(text, '  hiddenSize: 64  # default\n');
  const again = resolve(schema, [yamlLayer(text, 'config.yaml')]);
  assert.equal(again.config, first.config);
  const awkward = set('source=line one\nline two', 'train.warmup=3');
  const second = resolve(schema, [awkward]);
  const back = resolve(schema, [yaml(configAsYaml(schema, second.config, second.origins))]);
  assert.equal(back.config, second.config);
  assert.is(back.config.source, second.config.source);
});

test('describes parameters', () => {
  const rows = describeSchema(schema.shape.model, 'model.');
  assert.equal(rows[0], {
    key: 'model.hiddenSize',
    type: 'integer > 0',
    default: 64,
    required: false,
    description: 'width of a vector',
  });
  assert.equal(
    withDefaults(rows, [yaml('model.hiddenSize: 3'), yaml('model.dropout: 0')]).map((row) => row.default),
    [3, 'relu', 0],
  );
  assert.is(rows[1].type, "one of 'relu', 'gelu'");
  const words = (field: z.ZodType) => describeSchema(z.strictObject({ field }))[0].type;
  assert.is(words(z.tuple([z.int().min(0), z.string()])), 'list of 2 (integer >= 0, text)');
  assert.is(words(z.union([z.literal('auto'), z.int().max(8)])), "'auto' or integer <= 8");
  assert.ok(describeSchema(z.strictObject({ path: z.string() }))[0].required);
});

test("a URL's credentials are not repeated in an error", () => {
  const schema = z.strictObject({ server: z.string().refine((url) => !url.includes('@')) });
  const layer = assignmentLayer(schema, ['server=https://me:s3cret@host/path']);
  const error = (() => {
    try {
      resolve(schema, [layer]);
    } catch (caught) {
      return caught as Error;
    }
  })();
  assert.instance(error, UsageError);
  assert.match(error!.message, 'https://...@host/path');
  assert.not.match(error!.message, 's3cret');
});

test.run();
