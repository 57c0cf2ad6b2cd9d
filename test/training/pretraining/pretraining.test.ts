import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../../common/errors.ts';
import { Progress } from '../../../common/progress.ts';
import { seeded } from '../../../common/random.ts';
import { embedTexts, encoders } from '../../../encoders/index.ts';
import {
  type PretrainingResult,
  resumePretraining,
  runPretraining,
} from '../../../training/pretraining/index.ts';
import { recipeNames, resolvePretraining } from '../../../training/pretraining/options.ts';
import { start } from '../../cli/rec.ts';
import { pythonWithTensorflow, withBinding } from '../../tensorflow.ts';

interface Context {
  folder: string;
  pairs: string;
  whole: PretrainingResult;
}

const test = suite<Context>('pretraining');

/** A small encoder with dropout, cached gradients and both losses; every step may be written as a checkpoint. */
const settings = [
  ...['model.layers=1', 'model.heads=2', 'model.hiddenSize=16', 'model.innerSize=16', 'model.vocabSize=300'],
  ...[
    'train.batchSize=8',
    'train.epochs=6',
    'train.learningRate=0.01',
    'train.maxTokens=12',
    'train.memoryMb=1',
  ],
  ...[
    'train.evalSteps=7',
    'train.checkpointSeconds=0',
    'objective.pooling=mean',
    'objective.pooler=none',
    'seed=3',
  ],
];

const kinds = ['comb', 'soap', 'brush', 'cream', 'towel', 'razor', 'scissors', 'mirror'];

/** Reviews that name the kind and colour of their item. */
function writePairs(path: string): void {
  const random = seeded('pairs');
  const rows = Array.from({ length: 120 }, (_, i) => {
    const [kind, colour] = [kinds[random.below(8)], ['red', 'blue'][random.below(2)]];
    const split = i % 5 === 3 ? 'valid' : i % 5 === 4 ? 'test' : 'train';
    return [
      split,
      `${colour}-${kind}`,
      `my ${colour} ${kind} ${random.below(9)}`,
      `${kind} in ${colour}`,
    ].join('\t');
  });
  writeFileSync(path, `split\titem\treview\tmetadata\n${rows.join('\n')}\n`);
}

const run = (pairs: string, runs: string, ...more: string[]) =>
  runPretraining({ pairs, runs, threads: '1', set: [...settings, ...more] }, new Progress());

test.before(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-pretrain-'));
  process.env.REC_CACHE = join(context.folder, 'cache');
  process.env.HF_HUB_OFFLINE = '1';
  context.pairs = join(context.folder, 'pairs.tsv');
  writePairs(context.pairs);
  context.whole = await run(context.pairs, join(context.folder, 'whole'));
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

const only = (runs: string) => join(runs, readdirSync(runs)[0]);
const failure = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    await work();
  } catch (error) {
    assert.instance(error, UserError);
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
};

test('a review finds its item; the run folder says how it came to that', ({ whole, folder }) => {
  assert.ok(whole.test!.mrr > 0.6, `mrr ${whole.test!.mrr}`);
  assert.equal(whole.pairs.pairs, { train: 72, valid: 24, test: 24 });
  const path = only(join(folder, 'whole'));
  const records = readFileSync(join(path, 'metrics.jsonl'), 'utf8').trimEnd().split('\n');
  const parsed = records.map((line) => JSON.parse(line));
  assert.equal(
    parsed.map(({ step }) => step),
    [7, 14, 21, 28, 35, 42, 49, 54],
  );
  assert.ok(parsed.at(-1).valid.contrastive_loss < parsed[0].valid.contrastive_loss / 2);
  for (const name of [
    'config.yaml',
    'environment.json',
    'dataset.json',
    'result.json',
    'curve.svg',
    'last.safetensors',
  ])
    assert.ok(existsSync(join(path, name)), name);
  assert.match(readFileSync(join(path, 'config.yaml'), 'utf8'), /pooling: mean {2}# --set/);
});

test('the encoder of a run embeds texts as any checkpoint', async ({ folder }) => {
  const model = join(only(join(folder, 'whole')), 'encoder');
  const entry = encoders.get('roberta');
  const texts = ['red comb', 'blue soap', 'red comb'];
  const vectors = await embedTexts(
    {
      entry,
      name: 'mine',
      settings: entry.config.parse({ model, pooling: 'mean' }),
      texts,
      rows: 3,
      cache: false,
    },
    { seed: 1, threads: 1, progress: new Progress() },
  );
  assert.equal([vectors.rows, vectors.dims], [3, 16]);
  assert.equal(vectors.values.slice(0, 16), vectors.values.slice(32));
});

test('an earlier run is a start: its loss goes on from there, its tokenizer and heads are kept', async ({
  folder,
  pairs,
  whole,
}) => {
  const init = only(join(folder, 'whole'));
  const runs = join(folder, 'second');
  const result = await runPretraining(
    { pairs, init, runs, threads: '1', set: [...settings, 'train.epochs=1', 'train.learningRate=0.0001'] },
    new Progress(),
  );
  assert.ok(Math.abs(result.valid.contrastive_loss - whole.valid.contrastive_loss) < 0.5);
  assert.ok(Math.abs(result.valid.mlm_loss - whole.valid.mlm_loss) < 0.5);
  const tokens = (run: string) => readFileSync(join(run, 'encoder/tokenizer.json'), 'utf8');
  assert.is(tokens(only(runs)), tokens(init));
});

test('masked language modelling alone: no contrastive loss is reported, or minded', async ({
  folder,
  pairs,
}) => {
  const more = ['objective.contrastive=false', 'objective.mlmWeight=1', 'train.epochs=1'];
  const { valid } = await run(pairs, join(folder, 'mlm'), ...more);
  assert.is(valid.contrastive_loss, undefined);
  assert.ok(valid.mlm_loss > 0);
});

test('killed with -9 at several moments and resumed, it comes to the same numbers and bytes', async ({
  folder,
  pairs,
  whole,
}) => {
  const runs = join(folder, 'killed');
  const first = start([
    'pretrain',
    '--quiet',
    '--pairs',
    pairs,
    '--runs',
    runs,
    '--threads',
    '1',
    '--set',
    ...settings,
  ]);
  const stepsOf = () => {
    const path = existsSync(runs) && readdirSync(runs).length ? join(only(runs), 'last.safetensors') : '';
    return existsSync(path)
      ? Number(/optimizerSteps\\":(\d+)/.exec(readFileSync(path, 'latin1'))?.[1] ?? 0)
      : 0;
  };
  const killAt = async ({ child, ended }: ReturnType<typeof start>, steps: number) => {
    while (stepsOf() < steps && child.exitCode === null)
      await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill('SIGKILL');
    await ended;
  };
  await killAt(first, 3);
  await killAt(start(['pretrain', '--quiet', '--resume', only(runs)]), 16);
  const stopped = stepsOf();
  assert.ok(stopped >= 3 && stopped < 54, `killed at step ${stopped}`);
  const resumed = await resumePretraining({ resume: only(runs), runs, set: [] }, new Progress());
  assert.equal([resumed.valid, resumed.test, resumed.epochs], [whole.valid, whole.test, whole.epochs]);
  const [a, b] = [only(runs), only(join(folder, 'whole'))];
  const weights = (run: string) => readFileSync(join(run, 'encoder/model.safetensors'));
  assert.ok(weights(a).equals(weights(b)));
  const losses = (run: string) =>
    readFileSync(join(run, 'metrics.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
      .map(({ step, loss, valid }) => ({ step, loss, valid }));
  assert.equal(losses(a), losses(b));
});

test('changed pairs, a batch too large, texts longer than the positions, no split to validate on', async ({
  folder,
  pairs,
}) => {
  const runs = join(folder, 'bad');
  assert.match(
    await failure(() => run(pairs, runs, 'train.batchSize=100')),
    /train.batchSize 100 is more than the 72 pairs/,
  );
  assert.match(
    await failure(() => run(pairs, runs, 'model.maxPositions=10')),
    /train.maxTokens 12 is more than the 8 positions/,
  );
  const file = join(folder, 'train-only.tsv');
  writeFileSync(file, 'review\tmetadata\nred comb\tcomb\n');
  assert.match(
    await failure(() => run(file, runs)),
    /no pair to validate on: 1 pairs, none of the split 'valid'/,
  );
  writeFileSync(file, 'review\nred comb\n');
  assert.match(await failure(() => run(file, runs)), /train-only.tsv:1: no column 'metadata' or 'meta'/);
  assert.match(await failure(() => run(join(folder, 'none.tsv'), runs)), /none.tsv: does not exist/);
  assert.match(
    await failure(() => run(pairs, runs, 'init=org/none')),
    /HF_HUB_OFFLINE is set.*\nthe weights of org\/none are not at hand/,
  );
  assert.match(
    await failure(() => run(pairs, runs, 'objective.contrastive=false', 'objective.mlmWeight=0')),
    /nothing is left to train on/,
  );
  assert.match(
    await failure(async () => resolvePretraining({ runs, set: [] })),
    /which pairs\? Give --pairs/,
  );
  assert.match(
    await failure(async () => resolvePretraining({ recipe: 'blair-bse', runs, set: [] })),
    /unknown recipe 'blair-bse'.*did you mean 'blair-base'/,
  );
});

test('TensorFlow computes on as many threads as were asked for', async ({ folder, pairs }) => {
  const python = pythonWithTensorflow();
  if (!python) return;
  const options = {
    pairs,
    runs: join(folder, 'tensorflow'),
    threads: '1',
    set: [...settings, 'device=tensorflow', 'train.epochs=1'],
  };
  const modules = ['training/pretraining/index.ts', 'common/progress.ts'].map((module) =>
    JSON.stringify(new URL(`../../../${module}`, import.meta.url).href),
  );
  // In a process of its own: what the library finds at its first load is what counts, and another test may have loaded it here.
  const script = `Promise.all([import(${modules[0]}), import(${modules[1]})])
    .then(([{ runPretraining }, { Progress }]) => runPretraining(${JSON.stringify(options)}, new Progress()))
    .then(({ epochs }) => console.log(JSON.stringify([epochs.run, process.env.TF_NUM_INTRAOP_THREADS])))`;
  const { stdout, stderr } = await withBinding(python, () => {
    const { TF_NUM_INTRAOP_THREADS: _, ...env } = process.env;
    return spawnSync(process.execPath, ['--import', 'tsx', '-e', script], { encoding: 'utf8', env });
  });
  assert.equal(JSON.parse(stdout.trim().split('\n').at(-1) || 'null'), [1, '1'], stderr);
});

test('every recipe is a valid configuration', () => {
  for (const recipe of recipeNames()) resolvePretraining({ recipe, pairs: 'x', runs: '', set: [] });
});

test.run();
