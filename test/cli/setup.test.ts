import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pythonWithTensorflow } from '../tensorflow.ts';
import { writeDataset } from '../training/support.ts';
import { execHere, run } from './rec.ts';

const test = suite('rec setup tensorflow');
const python = pythonWithTensorflow();
const folder = mkdtempSync(join(tmpdir(), 'rec-setup-'));
const env = { REC_CACHE: join(folder, 'cache') };
const dataset = writeDataset(join(folder, 'rings'));
test.after(() => rmSync(folder, { recursive: true }));

/** A short training run, as a user starts it. */
const train = (device: string, more: NodeJS.ProcessEnv = {}) => {
  const settings = ['train.epochs=2', 'train.parts=1', 'model.hiddenSize=16'].flatMap((one) => [
    '--set',
    one,
  ]);
  const args = [
    'run',
    '--model',
    'sasrec',
    '--dataset',
    dataset,
    '--device',
    device,
    '--threads',
    '1',
    '--json',
  ];
  return run([...args, ...settings, '--runs', join(folder, 'runs')], { ...env, ...more });
};

test('wrong usage', async () => {
  const unknown = await execHere(['setup', 'tensorflow', '--install', 'gpuu']);
  assert.is(unknown.code, 2);
  assert.match(unknown.stderr, /--install must be one of \[cpu, gpu\]; got 'gpuu'/);
  assert.is((await execHere(['setup', 'tensorflo'])).code, 2);
});

test('before it, the device says that it is missing', async () => {
  const { code, stdout, stderr } = await train('tensorflow');
  assert.is(code, 1);
  assert.is(stdout, '');
  assert.match(stderr, /device 'tensorflow' needs TensorFlow's library, .*; run: rec setup tensorflow\n$/);
});

if (python) {
  const noise = /oneDNN|absl|port\.cc|cpu_feature|cuda|TensorFlow\.js/i;

  test('afterwards a run is that of the cpu device, and TensorFlow prints nothing', async () => {
    const setup = await run(['setup', 'tensorflow', '--python', python, '--json'], env);
    assert.is(setup.code, 0, setup.stderr);
    const { tensorflow, check } = JSON.parse(setup.stdout);
    assert.match(tensorflow, /^2\./);
    assert.ok(check.loss < 1e-4 && check.gradient < 1e-4);
    assert.not.match(setup.stderr, noise);

    // Node 23 took these out of util.
    const forget =
      "import u from 'node:util'; for (const n of ['isArray', 'isNullOrUndefined']) delete u[n];";
    const own = await train('tensorflow', {
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(forget)}`,
    });
    assert.is(own.code, 0, own.stderr);
    assert.not.match(own.stderr, noise);
    const [result, reference] = [JSON.parse(own.stdout), JSON.parse((await train('cpu')).stdout)];
    assert.is(result.device, 'tensorflow');
    assert.equal(result.test, reference.test);
  });

  test('a failure, when TensorFlow is loaded, ends the process in order', async () => {
    const args = [
      'encode',
      '--dataset',
      dataset,
      '--device',
      'tensorflow',
      '--encoder',
      'roberta:rec/blair-mini',
    ];
    const { code, stderr } = await run([...args, '--set', 'encoder.precision=int8'], env);
    assert.is(code, 1);
    assert.match(
      stderr,
      /encoder\.precision int8 is for the cpu device; device 'tensorflow' has f32 only\n$/,
    );
  });

  test('a library that has gone is named, with what to do', async () => {
    const file = join(env.REC_CACHE, 'tensorflow', 'setup.json');
    const before = readFileSync(file, 'utf8');
    writeFileSync(file, JSON.stringify({ ...JSON.parse(before), library: '/nowhere' }));
    const { code, stderr } = await train('tensorflow');
    writeFileSync(file, before);
    assert.is(code, 1);
    assert.match(
      stderr,
      /could not be loaded \(\/nowhere\/.*No such file.*\); set it up anew: rec setup tensorflow\n$/,
    );
  });
}

test.run();
