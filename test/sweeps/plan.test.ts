import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UsageError } from '../../common/errors.ts';
import { type Catalogue, projectCatalogue } from '../../configs/catalogue.ts';
import type { ConfigOptions } from '../../configs/options.ts';
import { readSweepFile } from '../../sweeps/file.ts';
import { type Plan, planSweep } from '../../sweeps/plan.ts';

const test = suite<{ folder: string; catalogue: Catalogue }>('sweeps/plan');

test.before(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-plan-'));
  context.catalogue = await projectCatalogue();
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

type Given = { folder: string; catalogue: Catalogue };
const plan = ({ folder, catalogue }: Given, text: string, options: Partial<ConfigOptions> = {}): Plan => {
  const path = join(folder, 'my.yaml');
  writeFileSync(path, text);
  return planSweep(readSweepFile(path), join(folder, 'sweep'), { set: [], ...options }, catalogue);
};
const settingsOf = ({ trials }: Plan) => trials.map(({ settings }) => settings);

test('a grid is every combination, the last key varying fastest; base is in every trial', (given) => {
  const { trials, name } = plan(
    given,
    'base:\n  run: { model: sasrec }\n  train.epochs: 7\ngrid:\n  model:\n    layers: [1, 2]\n  seed: [1, 2, 3]\n',
  );
  assert.is(name, 'my');
  const expected = [1, 2].flatMap((layers) => [1, 2, 3].map((seed) => ({ 'model.layers': layers, seed })));
  assert.equal(
    trials.map(({ settings }) => settings),
    expected,
  );
  for (const { set, settings, epochs, dataset } of trials) {
    assert.is(epochs, 7);
    assert.is(dataset, 'demo');
    assert.equal(set.toSorted(), [
      `model.layers=${settings['model.layers']}`,
      'run.model="sasrec"',
      `seed=${settings.seed}`,
      'train.epochs=7',
    ]);
  }
  assert.is(new Set(trials.map(({ id }) => id)).size, 6);
  assert.is(
    new Set(trials.map(({ candidate }) => candidate)).size,
    2,
    'candidates differ in more than the seed',
  );
});

test('a plugin that has changed makes other trials', (given) => {
  const text = 'base: { run.model: sasrec }\ngrid: { seed: [1, 2] }\n';
  const idsWith = (...plugins: string[]) =>
    plan({ ...given, catalogue: { ...given.catalogue, plugins } }, text).trials.map(({ id }) => id);
  assert.equal(idsWith('a'), idsWith('a'));
  assert.is(new Set([...idsWith(), ...idsWith('a'), ...idsWith('b'), ...idsWith('a', 'b')]).size, 8);
});

test('zip goes side by side; ~ leaves a key as it is; the grid crosses it', (given) => {
  const text = `
grid: { seed: [1, 2] }
zip:
  run.model: [sasrec, unisrec, unisrec]
  run.encoder: [~, lsa, random]
`;
  const pairs = [
    { 'run.model': 'sasrec' },
    { 'run.model': 'unisrec', 'run.encoder': 'lsa' },
    { 'run.model': 'unisrec', 'run.encoder': 'random' },
  ];
  assert.equal(
    settingsOf(plan(given, text)),
    [1, 2].flatMap((seed) => pairs.map((pair) => ({ seed, ...pair }))),
  );
});

test('random points are within their ranges, spread over them, and do not depend on how many are drawn', (given) => {
  const text = (trials: number, seed = 1) => `
base: { run.model: sasrec }
random:
  trials: ${trials}
  seed: ${seed}
  space:
    model.layers: { int: [1, 4] }
    model.hiddenDropout: { uniform: [0.1, 0.5] }
    train.learningRate: { log: [0.0001, 0.1] }
    model.heads: [1, 2]
`;
  const points = settingsOf(plan(given, text(400)));
  const values = (key: string) => points.map((point) => point[key] as number);
  assert.equal(settingsOf(plan(given, text(5))), points.slice(0, 5));
  assert.not.equal(settingsOf(plan(given, text(5, 2))), points.slice(0, 5));
  for (const layers of [1, 2, 3, 4]) {
    const share = values('model.layers').filter((value) => value === layers).length / points.length;
    assert.ok(share > 0.17 && share < 0.33, `layers ${layers}: ${share}`);
  }
  const dropout = values('model.hiddenDropout');
  assert.ok(dropout.every((value) => value >= 0.1 && value <= 0.5));
  assert.ok(Math.abs(dropout.reduce((a, b) => a + b) / dropout.length - 0.3) < 0.03);
  // Uniform in the logarithm: a third of the draws in each of the three decades.
  for (const decade of [1e-4, 1e-3, 1e-2]) {
    const inside = values('train.learningRate').filter((value) => value >= decade && value < decade * 10);
    assert.ok(Math.abs(inside.length / points.length - 1 / 3) < 0.08, `decade ${decade}`);
  }
});

test('trials that come to the same run are one', (given) => {
  const text = 'grid:\n  run.model: [sasrec, unisrec]\n  run.encoder: [lsa, random]\n';
  const models = plan(given, text).trials.map(({ settings }) => settings['run.model']);
  assert.equal(models, ['sasrec', 'unisrec', 'unisrec']);
});

test('a trial is known by what decides its outcome: not by threads, device, or the order of keys', (given) => {
  const ids = (text: string, options?: Partial<ConfigOptions>) =>
    plan(given, text, options).trials.map(({ id }) => id);
  const text = 'base: { run.model: sasrec, train.epochs: 3 }\ngrid: { seed: [1, 2] }\n';
  assert.equal(ids(text, { threads: '1', device: 'cpu' }), ids(text));
  assert.equal(
    ids('grid:\n  seed: [1, 2]\nbase:\n  train: { epochs: 3 }\n  run: { model: sasrec }\n'),
    ids(text),
  );
  assert.not.equal(ids(text, { set: ['train.epochs=4'] }), ids(text));
});

test('trials that differ in what the model learns share their inputs; another dataset or encoder does not', (given) => {
  const text = 'base: { run.model: unisrec }\ngrid: { run.encoder: [lsa, random], model.layers: [1, 2] }\n';
  const inputs = plan(given, text).trials.map((trial) => trial.inputs);
  assert.is(inputs[0], inputs[1]);
  assert.is(inputs[2], inputs[3]);
  assert.not.equal(inputs[0], inputs[2]);
});

test('settings of the command line are over the file, but not over its axes', (given) => {
  const text = 'base: { run.model: sasrec, train.epochs: 3 }\ngrid: { seed: [1, 2] }\n';
  const [first] = plan(given, text, {
    set: ['train.epochs=4'],
    dataset: relative(process.cwd(), given.folder),
  }).trials;
  assert.is(first.epochs, 4);
  assert.is(first.dataset, given.folder);
  assert.throws(
    () => plan(given, text, { seed: '3' }),
    /seed is an axis of the sweep \(.*my.yaml:2\): leave out --seed/,
  );
});

test('encoders that the sweep pretrains come before the trials that use them, by the folders of their runs', (given) => {
  const pairs = join(given.folder, 'pairs.tsv');
  writeFileSync(pairs, 'review\tmetadata\n');
  const { trials } = plan(
    given,
    `
pretrain:
  mlm: { recipe: blair-mini-mlm, pairs: ${pairs} }
  both: { recipe: blair-mini, pairs: ${pairs}, init: 'pretrained:mlm', train.epochs: 3 }
base: { run.model: unisrec }
grid: { run.encoder: [lsa, 'pretrained:both'], seed: [1, 2] }
`,
  );
  const [mlm, both, ...rest] = trials;
  const place = (run: string) => join(given.folder, 'sweep', run);
  assert.equal(mlm.command, ['pretrain', 'blair-mini-mlm']);
  assert.equal(both.command, ['pretrain', 'blair-mini']);
  assert.equal([mlm.after, both.after], [[], [mlm.id]]);
  assert.ok(both.set.includes(`init=${JSON.stringify(place(mlm.run))}`));
  assert.ok(both.set.includes('train.epochs=3'));
  assert.equal(
    rest.map(({ after }) => after),
    [[], [], [both.id], [both.id]],
  );
  assert.ok(rest[2].set.includes(`run.encoder=${JSON.stringify(`roberta:${place(both.run)}`)}`));
  assert.is(rest[2].settings['run.encoder'], 'pretrained:both');
  assert.throws(
    () => plan(given, "base: { run.model: unisrec }\ngrid: { run.encoder: ['pretrained:blairr'] }\n"),
    /unknown pretraining 'blairr' \(from .*my\.yaml:2\)/,
  );
  assert.throws(
    () => plan(given, `pretrain:\n  x: { pairs: ${pairs}, train.epoch: 3 }\ngrid: { seed: [1] }\n`),
    /pretrain\.x \(.*my\.yaml:2\): unknown key 'train\.epoch'.*did you mean 'train\.epochs'/,
  );
});

test('what cannot be meant is refused, with its line', (given) => {
  const cases: [string, RegExp][] = [
    ['gird: { seed: [1] }\n', /unknown section 'gird' \(from .*my\.yaml:1\); did you mean 'grid'/],
    [
      'base: { run.model: sasrec }\ngrid:\n  seed: 3\n',
      /grid\.seed must be a list of values to try, got 3, from .*:3/,
    ],
    ['grid:\n  seed: []\n', /grid\.seed must be a list of values to try, got an empty list, from .*:2/],
    ['grid:\n  seed: [1]\nzip:\n  seed: [2]\n', /seed is in both grid and zip \(.*:4\)/],
    ['zip:\n  seed: [1, 2]\n  model.layers: [1]\n', /zip\.model\.layers has 1 values, zip\.seed has 2.*:3/],
    ['random:\n  trials: 3\n', /random\.trials is given, but not random\.space, from .*:2/],
    ['random:\n  space:\n    seed: [1]\n', /random\.space is given, but not random\.trials/],
    [
      'random:\n  trials: 1\n  space:\n    train.learningRate: { log: [0, 1] }\n',
      /random\.space\.train\.learningRate must be .* got \{"log":\[0,1\]\}, from .*:4/,
    ],
    ['random:\n  trials: 1\n  space:\n    seed: { int: [5, 1] }\n', /random\.space\.seed must be .*:4/],
    [
      'base: { run.model: sasrec }\ngrid:\n  model.hidenSize: [8]\n',
      /unknown key 'model\.hidenSize', from .*:3; did you mean 'model\.hiddenSize'.*\(in the trial model\.hidenSize=8\)/,
    ],
    ['grid:\n  run.model: [sasrek]\n', /unknown model 'sasrek' \(from .*:2\); did you mean 'sasrec'/],
    ['base:\n  run.model: sasrec\n  train.epochs: many\n', /train\.epochs must be .* from .*my\.yaml:3/],
    ['grid:\n  seed: [1]\n', /which model/],
    ['halving: { factor: 1 }\n', /halving\.factor must be integer/],
  ];
  for (const [text, message] of cases) {
    try {
      plan(given, text);
      assert.unreachable(text);
    } catch (error) {
      assert.instance(error, UsageError, String(error));
      assert.match((error as Error).message, message);
    }
  }
});

test.run();
