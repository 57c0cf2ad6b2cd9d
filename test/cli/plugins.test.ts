import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { execHere } from './rec.ts';

const test = suite<{ folder: string }>('plugins');

test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-cli-plugins-'));
  process.env.REC_CACHE = join(context.folder, 'cache');
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

const exampleOf = (name: string) => fileURLToPath(new URL(`../../examples/${name}.ts`, import.meta.url));
const example = exampleOf('my-model');

test('the example is short, keeps the contract, and learns on the demo', async ({ folder }) => {
  assert.ok(readFileSync(example, 'utf8').split('\n').length <= 60);
  const checked = await execHere(['check', example, '--quiet']);
  assert.is(checked.code, 0, checked.stdout + checked.stderr);
  assert.is(checked.stdout.match(/^ {2}ok /gm)?.length, 9);
  const settings = ['--set', 'model.hiddenSize=16', 'train.epochs=8', 'train.learningRate=0.01'];
  const ran = await execHere([
    ...[
      'run',
      '--plugin',
      example,
      '--model',
      'my-model',
      '--runs',
      join(folder, 'runs'),
      '--json',
      '--quiet',
    ],
    ...settings,
  ]);
  assert.is(ran.code, 0, ran.stderr);
  const { test: metrics, baselines } = JSON.parse(ran.stdout);
  assert.ok(metrics['ndcg@10'] > 3 * baselines.popularity.test['ndcg@10'], JSON.stringify(metrics));
});

test('the other examples keep their contracts, and work together', async ({ folder }) => {
  for (const name of ['my-dataset', 'my-encoder']) {
    const checked = await execHere(['check', exampleOf(name), '--quiet']);
    assert.is(checked.code, 0, checked.stdout + checked.stderr);
  }
  const plugins = ['--plugin', exampleOf('my-dataset'), '--plugin', exampleOf('my-encoder')];
  const names = ['--dataset', 'my-dataset', '--encoder', 'my-encoder', '--model', 'sasrec-text'];
  const settings = ['--set', 'model.hiddenSize=8', 'model.adaptorSize=8', 'train.epochs=2'];
  const ran = await execHere([
    ...['run', ...plugins, ...names, '--runs', join(folder, 'runs'), '--json', '--quiet'],
    ...settings,
  ]);
  assert.is(ran.code, 0, ran.stderr);
  const { dataset, encoder, items, rows } = JSON.parse(ran.stdout);
  assert.equal([dataset, encoder, items, rows.test], ['my-dataset', 'my-encoder', 8, 200]);
});

test('a new model: checked and listed as it is written; it is not written over', async ({ folder }) => {
  // It is written to where the command is given.
  const create = async (name: string) => {
    const before = process.cwd();
    process.chdir(folder);
    return execHere(['new', 'model', name]).finally(() => process.chdir(before));
  };
  const created = await create('second-order');
  assert.is(created.code, 0, created.stderr);
  assert.match(created.stdout, 'rec check ./second-order.ts');
  const file = join(folder, 'second-order.ts');
  const checked = await execHere(['check', file, '--json', '--quiet']);
  assert.is(checked.code, 0, checked.stderr);
  assert.equal(JSON.parse(checked.stdout).checked[0].name, 'second-order');
  const listed = await execHere(['models', 'second-order', '--plugin', file]);
  assert.match(listed.stdout, 'model.order');

  writeFileSync(file, 'mine');
  for (const [name, message] of [
    ['second-order', 'exists already; it was left as it is'],
    ['sasrec', 'is the name of a built-in model'],
    ['My Model', "small letters, digits and '-'"],
  ]) {
    const refused = await create(name);
    assert.is(refused.code, 2);
    assert.match(refused.stderr, message);
  }
  assert.is(readFileSync(file, 'utf8'), 'mine');
});

test('a broken model: what is wrong, exit code 1', async ({ folder }) => {
  const text = readFileSync(example, 'utf8').replace(
    'normalize(sum)',
    'normalize(tf.add(sum, tf.mean(vectors, 1, true)))',
  );
  const file = join(folder, 'broken.ts');
  writeFileSync(file, text);
  const { code, stdout, stderr } = await execHere(['check', file, '--quiet']);
  assert.is(code, 1);
  assert.match(stdout, /FAILED +causality: changing item 1 of a history changes the vector after item 0/);
  assert.match(stdout, /ok +gradients/);
  assert.match(stderr, "broken.ts breaks 2 of its contract's rules");
  const missing = await execHere(['run', '--plugin', 'nowhere.ts', '--model', 'x']);
  assert.is(missing.code, 1);
  assert.match(missing.stderr, 'nowhere.ts: does not exist');
});

test.run();
