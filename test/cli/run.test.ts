import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Cancelled } from '../../common/errors.ts';
import { Progress } from '../../common/progress.ts';
import type { RunOptions } from '../../configs/options.ts';
import type { RunResult } from '../../training/index.ts';
import { type Ended, execHere, start } from './rec.ts';

const test = suite<{ folder: string }>('run');

test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-run-'));
  process.env.REC_CACHE = join(context.folder, 'cache');
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

/** Small enough to train in seconds. */
const small = ['--set', 'model.hiddenSize=8', 'model.innerSize=8', 'eval.topk=10', 'train.batchSize=512'];

function assertFailed({ code, stdout, stderr }: Ended, expected: number, message: string): void {
  assert.is(code, expected, stderr);
  assert.is(stdout, '');
  assert.match(stderr, message);
  assert.not.match(stderr, /^ {4}at /m);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

test('what cannot be meant is refused before anything is made', async ({ folder }) => {
  const runs = join(folder, 'refused');
  const attempt = (...args: string[]) => execHere(['run', '--json', '--runs', runs, ...args]);
  // One of each kind; the resolver's own test has the rest.
  assertFailed(
    await attempt('--model', 'sasrek'),
    2,
    "unknown model 'sasrek' (from --model); did you mean 'sasrec'?",
  );
  assertFailed(
    await attempt('--model', 'sasrec', '--set', 'model.hidenSize=3'),
    2,
    "did you mean 'model.hiddenSize'?",
  );
  assertFailed(await attempt('--resume', runs, '--model', 'sasrec'), 2, 'leave out --model');
  assertFailed(await attempt('--resume', runs), 1, 'not a run folder');
  assert.not.ok(existsSync(runs));
});

test('a runs folder that cannot be written is named', async ({ folder }) => {
  const file = join(folder, 'a-file');
  writeFileSync(file, '');
  assertFailed(await execHere(['run', '--model', 'sasrec', '--runs', file]), 1, file);
});

test('an interrupt in any phase leaves nothing half-written', async ({ folder }) => {
  // Here without a thread, whose start costs more than the phases: test/common/job.test.ts has the flag's way there.
  const { runExperiment } = await import('../../training/index.ts');
  const options: RunOptions = {
    model: 'sasrec-text',
    set: small.slice(1),
    runs: join(folder, 'interrupted'),
  };
  for (const phase of ['make the demo', 'embedding', 'epoch 1', 'ranking']) {
    let reached = false;
    const progress = new Progress(
      (event) => {
        reached ||= event.kind === 'begin' && event.task.startsWith(phase);
      },
      () => reached,
    );
    const error = await runExperiment(options, progress).catch((reason: Error) => reason);
    assert.instance(error, Cancelled, `${phase}: ${error}`);
    const left = readdirSync(folder, { recursive: true }).filter((file) => String(file).endsWith('.tmp'));
    assert.equal(left, [], phase);
  }
});

test('Ctrl-C asks the run to stop and says how to resume it; resumed, it prints one JSON object', async ({
  folder,
}) => {
  const runs = join(folder, 'resumed');
  const { child, ended } = start(['run', '--model', 'sasrec', '--runs', runs, ...small, 'train.epochs=20']);
  const metrics = () =>
    (existsSync(runs) ? readdirSync(runs) : []).map((run) => join(runs, run, 'metrics.jsonl'));
  await until(() => child.exitCode !== null || metrics().some(existsSync));
  child.kill('SIGINT');
  const { code, stdout, stderr } = await ended;
  assert.is(code, 130, stderr);
  assert.is(stdout, '');
  assert.match(stderr, 'Ctrl-C again ends it at once');
  const resume = /resume with: rec (run --resume (\S+))/.exec(stderr);
  assert.ok(resume, stderr);
  const done = readFileSync(metrics()[0], 'utf8').trim().split('\n').length;
  assert.ok(done < 20);

  const resumed = await execHere([...resume![1].split(' '), '--json']);
  assert.is(resumed.code, 0, resumed.stderr);
  const result = JSON.parse(resumed.stdout);
  assert.is(result.model, 'sasrec');
  assert.is(result.dataset, 'demo');
  assert.is(result.encoder, null);
  assert.ok(result.epochs.run > done && result.epochs.run <= 20);
  for (const metric of ['recall@10', 'ndcg@10'])
    assert.ok(result.test[metric] >= 0 && result.test[metric] <= 1);

  const again = await execHere(['evaluate', result.run, '--quiet']);
  assert.is(again.code, 0, again.stderr);
  assert.is(again.stderr, '');
  assert.match(again.stdout, 'sasrec on demo (synthetic), seed 2020');
  const yardsticks: RunResult[] = Object.values(result.baselines);
  const line = again.stdout.split('\n').find((text) => text.startsWith('ndcg@10'));
  assert.equal(line?.split(/ +/), [
    'ndcg@10',
    ...[result.valid, result.test, ...yardsticks.map(({ test }) => test)].map((m) => m['ndcg@10'].toFixed(4)),
  ]);
  const both = ({ metrics }: { metrics: Record<string, number> }) =>
    `${metrics['recall@10'].toFixed(4)} / ${metrics['ndcg@10'].toFixed(4)}`;
  for (const bucket of ['unseen', '1-5', '6-20', '21+']) {
    const shown = again.stdout.split('\n').find((text) => text.startsWith(`${bucket} `));
    assert.equal(shown?.split(/ {2,}/), [
      bucket,
      String(result.byPopularity[bucket].rows),
      ...[result, ...yardsticks].map(({ byPopularity }) => both(byPopularity[bucket])),
    ]);
  }
});

test('a baseline runs like a model, and its result says that it was counted', async ({ folder }) => {
  const runs = join(folder, 'counted');
  for (const model of ['popularity', 'item-transition']) {
    const ran = await execHere(['run', '--model', model, '--runs', runs, '--quiet']);
    assert.is(ran.code, 0, ran.stderr);
    assert.match(ran.stdout, `${model} on demo (synthetic), seed 2020, cpu`);
    assert.match(ran.stdout, 'counted, not trained');
    const path = /run folder: (\S+)/.exec(ran.stdout)![1];
    const evaluated = await execHere(['evaluate', path, '--quiet', '--json']);
    assert.is(evaluated.code, 0, evaluated.stderr);
    const { test, baselines } = JSON.parse(evaluated.stdout);
    assert.is(test['ndcg@10'], baselines[model].test['ndcg@10']);
  }
});

test('a second Ctrl-C ends at once; an echo of the first does not', async () => {
  const stubborn = fileURLToPath(new URL('./fixtures/stubborn.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', stubborn]);
  let output = '';
  child.stderr.on('data', (data) => (output += data));
  const ended = new Promise((resolve) => child.on('close', resolve));
  await until(() => output.includes('begun'));
  child.kill('SIGINT');
  child.kill('SIGTERM');
  await until(() => output.includes('stopping'));
  await new Promise((resolve) => setTimeout(resolve, 600));
  assert.is(child.exitCode, null);
  child.kill('SIGINT');
  assert.is(await ended, 130);
  assert.is(output.match(/stopping/g)?.length, 1);
});

test.run();
