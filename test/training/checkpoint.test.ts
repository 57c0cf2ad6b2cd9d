import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { readSafetensors, type Tensor, writeSafetensors } from '../../common/safetensors.ts';
import { Optimizer, Parameters, uniform } from '../../engine/index.ts';
import {
  initializeFrom,
  loadCheckpoint,
  loadParameters,
  saveCheckpoint,
  saveParameters,
  type TrainingState,
} from '../../training/checkpoint.ts';
import type { Trainer } from '../../training/trainer.ts';
import { trainerOf, variantNamed } from './support.ts';

const test = suite<{ folder: string; path: string }>('checkpoint');
test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-checkpoint-'));
  context.path = join(context.folder, 'last.safetensors');
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

/** Scripted validation: better, worse, the same, so that early stopping has a state to keep. */
const scores = [0.1, 0.3, 0.2, 0.3, 0.1, 0.1, 0.1];

/** Trains on from the trainer's state; `at` is called at every moment when a checkpoint may be written. */
function train(
  trainer: Trainer,
  at: (state: TrainingState) => Promise<void> = async () => {},
): Promise<void> {
  return trainer.run({
    validate: async () => ({ 'ndcg@10': scores[trainer.state.epoch - 1] }),
    onEpoch: async () => {},
    onCheckpoint: at,
  });
}

/** What a training came to, but for times. */
function outcome({ trainer, built }: ReturnType<typeof trainerOf>) {
  const { records, best, stop, optimizerSteps } = trainer.state;
  return {
    best,
    stop,
    optimizerSteps,
    records: records.map(({ trainSeconds: _t, evalSeconds: _e, ...rest }) => rest),
    values: built.parameters.all().map(({ name, values }) => ({ name, values: values.slice() })),
  };
}

for (const name of ['gru4rec', 'sasrec-text', 'unisrec pretrain shared']) {
  test(`${name}: taken up at any step, training ends as if never interrupted`, async ({ folder }) => {
    const given = { variant: variantNamed(name), settings: { patience: 2, schedule: 'cosine', epochs: 7 } };
    const whole = trainerOf(given);
    const saved: string[] = [];
    await train(whole.trainer, async (state) => {
      const path = join(folder, `${state.epoch}-${state.batch}.safetensors`);
      await saveCheckpoint(path, whole.built.parameters, state);
      saved.push(path);
    });
    const expected = outcome(whole);
    assert.is(expected.records.length, 7);
    assert.ok(
      saved.some((path) => !path.endsWith('-0.safetensors')),
      'no checkpoint within an epoch',
    );
    // All of them for one model, some for the others.
    for (const path of saved.filter((_, i) => name === 'gru4rec' || i % 5 === 1)) {
      const resumed = trainerOf({ ...given, seed: 1 });
      const { trainer, built } = resumed;
      Object.assign(trainer.state, await loadCheckpoint(path, built.parameters, trainer.optimizer));
      await train(trainer);
      assert.equal(outcome(resumed), expected, path);
      await trainer.close();
      built.parameters.dispose();
    }
    await whole.trainer.close();
    whole.built.parameters.dispose();
  });
}

const small = (seed = 1) => {
  const parameters = new Parameters({ seed });
  parameters.create('a', [2, 3], uniform(1));
  parameters.create('b', [4], uniform(1));
  return { parameters, optimizer: new Optimizer(parameters, { type: 'adam', learningRate: 1 }) };
};

const f32 = (shape: number[], ...data: number[]): Tensor => ({
  dtype: 'F32',
  shape,
  data: Float32Array.from(data),
});
const whole: [string, Tensor][] = [
  ['a', f32([2, 3], 1, 2, 3, 4, 5, 6)],
  ['b', f32([4], 1, 2, 3, 4)],
  ['optimizer.first.a', f32([2, 3], 1, 1, 1, 1, 1, 1)],
  ['optimizer.first.b', f32([4], 1, 1, 1, 1)],
  ['optimizer.second.a', f32([2, 3], 2, 2, 2, 2, 2, 2)],
  ['optimizer.second.b', f32([4], 2, 2, 2, 2)],
];
const state = JSON.stringify({ epoch: 3, batch: 1, optimizerSteps: 17 });

async function messageOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => assert.unreachable('nothing was thrown'),
    (reason: unknown) => reason,
  );
  assert.instance(error, UserError, String(error));
  return (error as Error).message;
}

test('a checkpoint puts back parameters, moments and steps', async ({ path }) => {
  await writeSafetensors(path, whole, { state });
  const { parameters, optimizer } = small();
  const loaded = await loadCheckpoint(path, parameters, optimizer);
  assert.is(loaded.epoch, 3);
  assert.is(optimizer.steps, 17);
  assert.equal(parameters.get('b').values, Float32Array.of(1, 2, 3, 4));
  assert.equal(parameters.view('a', 'first'), new Float32Array(6).fill(1));
  assert.equal(parameters.view('b', 'second'), new Float32Array(4).fill(2));
});

test('what cannot be resumed from is said with its file', async ({ path }) => {
  const { parameters, optimizer } = small();
  const attempt = () => messageOf(loadCheckpoint(path, parameters, optimizer));
  const with_ = (name: string, tensor: Tensor) =>
    whole.map((entry) => (entry[0] === name ? ([name, tensor] as const) : entry));

  await writeSafetensors(path, whole, {});
  assert.is(await attempt(), `${path}: has no training state; it is not a checkpoint to resume from`);
  await writeSafetensors(path, whole, { state: '{"epoch": 3' });
  assert.match(await attempt(), 'has no training state');
  await writeSafetensors(path, whole.slice(0, 5), { state });
  assert.match(await attempt(), `${path}: tensor 'optimizer.second.b' is missing`);
  await writeSafetensors(path, with_('a', f32([3, 2], 1, 2, 3, 4, 5, 6)), { state });
  assert.is(await attempt(), `${path}: tensor 'a' has shape [3, 2], expected [2, 3]`);
  await writeSafetensors(path, with_('b', { dtype: 'I32', shape: [4], data: Int32Array.of(1, 2, 3, 4) }), {
    state,
  });
  assert.is(await attempt(), `${path}: tensor 'b' holds I32, floating-point numbers were expected`);
  await writeSafetensors(
    path,
    with_('b', { dtype: 'I64', shape: [4], data: BigInt64Array.of(1n, 2n, 3n, 4n) }),
    { state },
  );
  assert.match(await attempt(), 'holds I64');

  await writeSafetensors(path, whole, { state });
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.subarray(0, bytes.length - 9));
  assert.match(await attempt(), `${path}: not a valid safetensors file`);
  writeFileSync(path, bytes.subarray(0, 5));
  assert.match(await attempt(), `${path}: not a valid safetensors file`);
  writeFileSync(path, 'what is this? not a checkpoint, by any means');
  assert.match(await attempt(), `${path}: not a valid safetensors file`);
});

test('half-precision parameters are converted, not taken bit by bit', async ({ path }) => {
  const bf16 = Uint16Array.of(0x3f80, 0x4000, 0xbf80, 0x0000); // 1, 2, -1, 0
  await writeSafetensors(path, [whole[0], ['b', { dtype: 'BF16', shape: [4], data: bf16 }]]);
  const { parameters } = small();
  await loadParameters(path, parameters);
  assert.equal(parameters.get('b').values, Float32Array.of(1, 2, -1, 0));
});

test('saved parameters are those of the model alone, with what is said of them', async ({ path }) => {
  const { parameters } = small();
  await saveParameters(path, parameters, { model: 'x' });
  const { tensors, metadata } = await readSafetensors(path);
  assert.equal([...tensors.keys()], ['a', 'b']);
  assert.equal(metadata, { model: 'x' });
  assert.equal(tensors.get('a')?.data, parameters.get('a').values);
});

test('a start from another model takes what fits and names the rest', async ({ path }) => {
  const f16 = Uint16Array.of(0x3c00, 0xc000, 0, 0x3800); // 1, -2, 0, 0.5
  await writeSafetensors(path, [
    ['a', f32([6], 1, 2, 3, 4, 5, 6)],
    ['b', { dtype: 'F16', shape: [4], data: f16 }],
    ['c', f32([1], 1)],
  ]);
  const { parameters } = small();
  const before = parameters.get('a').values.slice();
  assert.equal(await initializeFrom(path, parameters), ['a']);
  assert.equal(parameters.get('a').values, before);
  assert.equal(parameters.get('b').values, Float32Array.of(1, -2, 0, 0.5));

  await writeSafetensors(path, [
    ['a', { dtype: 'U64', shape: [2, 3], data: new BigUint64Array(6) }],
    ['b', { dtype: 'I32', shape: [4], data: new Int32Array(4) }],
  ]);
  assert.match(
    await messageOf(initializeFrom(path, parameters)),
    `${path}: no tensor of it has the name and shape`,
  );
  assert.match(await messageOf(initializeFrom(`${path}.none`, parameters)), `${path}.none: does not exist`);
});

test.run();
