import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { execHere, run, start } from './rec.ts';

const test = suite<{ folder: string }>('commands');

test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-cli-'));
  process.env.REC_CACHE = join(context.folder, 'cache');
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

/** Wrong usage: exit code 2, nothing on standard output, no stack. */
async function refused(args: string[], ...messages: string[]): Promise<void> {
  const { code, stdout, stderr } = await execHere(args);
  assert.is(code, 2, stderr);
  assert.is(stdout, '');
  assert.not.match(stderr, /^ {4}at /m);
  for (const message of messages) assert.match(stderr, message);
}

test('help and version', async () => {
  const [help, version] = await Promise.all([run(['run', '--help']), run(['--version'])]);
  assert.equal([help.code, version.code], [0, 0]);
  for (const option of ['--model', '--set', '--resume', '--json']) assert.match(help.stdout, option);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  const wrong = await run(['modles']);
  assert.equal([wrong.code, wrong.stdout], [2, '']);
});

test('unknown commands and options name the nearest', async () => {
  await refused([], 'which command?');
  await refused(['modles'], "did you mean 'models'?");
  await refused(['run', '--modl', 'x'], "did you mean '--model'?");
  await refused(['data'], 'which action?');
  await refused(['data', 'prepre'], "did you mean 'prepare'?");
  await refused(['evaluate'], 'a required argument is missing: <folder>. See');
  await refused(['setup', 'tensorflw'], "unknown device 'tensorflw'; did you mean 'tensorflow'?");
  await refused(['run', '--seed'], '--seed needs a value');
  await refused(['run', '--seed', '1', '--seed', '2'], '--seed is given 2 times: 1, 2');
});

test('lists are one JSON object with --json', async () => {
  const [models, datasets] = [await execHere(['models', '--json']), await execHere(['datasets', '--json'])];
  const names = (list: { name: string }[]) => list.map(({ name }) => name);
  const listed = JSON.parse(models.stdout).models;
  for (const name of ['gru4rec', 'sasrec', 'sasrec-text', 'unisrec', 'popularity', 'item-transition'])
    assert.ok(names(listed).includes(name));
  for (const { summary, input, parameters } of listed) {
    assert.ok(summary && ['id', 'text', 'both'].includes(input));
    for (const { key, type, description } of parameters)
      assert.ok(key.startsWith('model.') && type && description, key);
  }
  assert.ok(names(JSON.parse(datasets.stdout).datasets).includes('demo'));
  const one = await execHere(['models', 'unisrec']);
  assert.match(one.stdout, 'model.temperature');
  assert.not.match(one.stdout, 'gru4rec');
  await refused(['models', 'unisrek'], "unknown model 'unisrek'; did you mean 'unisrec'?");
});

test('data: results on standard output, settings checked', async ({ folder }) => {
  const prepared = await execHere(['data', 'prepare', '--json', '--set', 'data.kcore=2']);
  assert.is(prepared.code, 0, prepared.stderr);
  const manifest = JSON.parse(prepared.stdout);
  assert.is(manifest.synthetic, true);
  assert.is(manifest.settings.kcore, 2);
  const inspected = await execHere(['data', 'inspect']);
  assert.match(inspected.stdout, /demo \(synthetic\)/);
  await refused(
    ['data', 'prepare', '--set', 'data.kcor=2'],
    "unknown key 'data.kcor', from --set",
    "'data.kcore'",
  );
  await refused(
    ['data', 'prepare', '--set', 'data.kcore=many'],
    'data.kcore must be integer >= 0',
    'from --set',
  );
  await refused(['data', 'prepare', '--set', 'data.kcore'], 'expected key=value');
  await refused(['data', 'prepare', '--config', join(folder, 'no.yaml')], 'no.yaml: does not exist');
  await refused(
    ['data', 'prepare', '--dataset', 'dmo', '--json'],
    "unknown dataset 'dmo'; did you mean 'demo'?",
  );
  const path = join(folder, 'bad.yaml');
  writeFileSync(path, 'data:\n  kcore: 1\n  splt: auto\n');
  await refused(['data', 'prepare', '--config', path], `from ${path}:3`, "did you mean 'data.split'?");
});

test('a failure is one line; --debug adds the stack', async ({ folder }) => {
  const empty = await execHere(['data', 'prepare', '--dataset', folder, '--json']);
  assert.is(empty.code, 1);
  assert.is(empty.stdout, '');
  assert.match(empty.stderr, /^rec: /m);
  assert.not.match(empty.stderr, /^ {4}at /m);
  const debug = await execHere(['data', 'prepare', '--dataset', folder, '--debug']);
  assert.is(debug.code, 1);
  assert.match(debug.stderr, /^ {4}at /m);
});

test('a reader that goes away is no failure', async () => {
  const { child, ended } = start(['models']);
  child.stdout?.destroy();
  const { code, stderr } = await ended;
  assert.is(code, 0);
  assert.is(stderr, '');
});

test('an interrupt at start-up ends with 130', async () => {
  // It works for longer than it takes to start on a busy machine.
  const runs = mkdtempSync(join(tmpdir(), 'rec-interrupt-'));
  try {
    const { child, ended } = start(['run', '--model', 'sasrec', '--quiet', '--runs', runs]);
    setTimeout(() => child.kill('SIGINT'), 1500);
    assert.is((await ended).code, 130);
  } finally {
    rmSync(runs, { recursive: true, force: true });
  }
});

test.run();
