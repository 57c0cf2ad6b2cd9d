import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Progress } from '../../common/progress.ts';
import { type RunResult, resumeExperiment, runExperiment } from '../../training/index.ts';
import { MlflowRun } from '../../training/mlflow.ts';
import { MlflowServer } from './mlflow-server.ts';
import { writeDataset } from './support.ts';

interface Context {
  folder: string;
  data: string;
  server: MlflowServer;
  url: string;
}

const test = suite<Context>('mlflow');

test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-mlflow-'));
  process.env.REC_CACHE = join(context.folder, 'cache');
  context.data = writeDataset(join(context.folder, 'rings'));
});
test.before.each(async (context) => {
  context.server = new MlflowServer();
  context.url = await context.server.listen();
});
test.after.each(({ server }) => server.close());
test.after(({ folder }) => rmSync(folder, { recursive: true }));

interface Told {
  warnings: string[];
  progress: Progress;
}

/** @param onEpoch called as each epoch is told of */
function listener(onEpoch: (epoch: number) => void = () => {}, cancelled: () => boolean = () => false): Told {
  const warnings: string[] = [];
  const progress = new Progress((event) => {
    if (event.kind === 'warning') warnings.push(event.text);
    if (event.kind === 'epoch') onEpoch(Number(event.row.epoch));
  }, cancelled);
  return { warnings, progress };
}

const settings = (url: string, ...more: string[]) => [
  ...['model.hiddenSize=8', 'model.embeddingSize=8', 'train.batchSize=64', 'train.epochs=3', 'eval.topk=5'],
  ...[`tracking.mlflow=${url}`, 'tracking.experiment=rings', ...more],
];
const run = ({ folder, data, url }: Context, { progress }: Told, name: string): Promise<RunResult> =>
  runExperiment({ model: 'gru4rec', dataset: data, set: settings(url), runs: join(folder, name) }, progress);

function lines(result: { run: string }): { epoch: number; loss: number; valid: Record<string, number> }[] {
  const text = readFileSync(join(result.run, 'metrics.jsonl'), 'utf8').trimEnd();
  return text.split('\n').map((line) => JSON.parse(line));
}

test('parameters, a point an epoch, test metrics, and how it ended', async (context) => {
  const { server } = context;
  const told = listener();
  const result = await run(context, told, 'runs');
  assert.equal(told.warnings, []);
  assert.equal([...server.experiments.keys()], ['rings']);
  const [[id, logged]] = server.runs;
  assert.equal([logged.experiment, logged.status], ['rings', 'FINISHED']);
  assert.ok(result.run.endsWith(logged.name) && logged.endTime! > 0);
  assert.equal(
    [logged.params['run.model'], logged.params['model.hiddenSize'], logged.params.seed],
    ['gru4rec', '8', '2020'],
  );
  assert.not.ok(Object.keys(logged.params).some((name) => name.startsWith('tracking')));
  assert.is(logged.tags.dataset, 'rings');
  const epochs = lines(result);
  assert.equal(
    logged.metrics['train/loss'],
    epochs.map(({ epoch, loss }) => [epoch, loss]),
  );
  assert.equal(
    logged.metrics['valid/ndcg_at_10'],
    epochs.map(({ epoch, valid }) => [epoch, valid['ndcg@10']]),
  );
  assert.equal(logged.metrics['test/recall_at_5'], [[result.epochs.best, result.test['recall@5']]]);
  assert.is(JSON.parse(readFileSync(join(result.run, 'mlflow.json'), 'utf8')).runId, id);

  // The experiment is there now, and a second run has one of its own.
  await run(context, told, 'runs');
  assert.equal([server.experiments.size, server.runs.size], [1, 2]);
});

test('stopped and resumed, a run stays one run', async (context) => {
  const { server, folder } = context;
  let stop = false;
  const told = listener(
    (epoch) => {
      stop = epoch === 2;
    },
    () => stop,
  );
  await run(context, told, 'stopped').then(
    () => assert.unreachable('it was not stopped'),
    (error: Error) => assert.match(error.message, 'interrupted'),
  );
  const [logged] = server.runs.values();
  assert.is(logged.status, 'KILLED');
  const runs = join(folder, 'stopped');
  const resume = join(runs, readdirSync(runs)[0]);
  const result = await resumeExperiment({ resume, set: [], runs: '' }, listener().progress);
  assert.equal([server.runs.size, logged.status], [1, 'FINISHED']);
  const steps = new Map(logged.metrics['train/loss']);
  assert.equal(
    [...steps],
    lines(result).map(({ epoch, loss }) => [epoch, loss]),
  );
});

test('a server that goes away and comes back has it all in the end, and the run is told once', async (context) => {
  const { server, url } = context;
  const port = Number(new URL(url).port);
  const told = listener();
  const tracked = new MlflowRun({ mlflow: `${url}/`, experiment: 'rings' }, context.folder, told.progress);
  const record = (epoch: number) => ({
    ...{ epoch, loss: 1 / epoch, valid: { 'ndcg@10': Number.NaN }, learningRate: 0.1 },
    ...{ trainSeconds: 1, evalSeconds: 1 },
  });
  const settled = () => new Promise((resolve) => setTimeout(resolve, 50));
  await server.close();
  // More settings than one request may have.
  const params = Object.fromEntries(Array.from({ length: 230 }, (_, i) => [`key.${i}`, 'long '.repeat(200)]));
  tracked.begin({ name: 'mine', params, tags: {} });
  tracked.epoch(record(1));
  await settled();
  tracked.epoch(record(2));
  await settled();
  assert.is(told.warnings.length, 1);
  assert.match(told.warnings[0], /MLflow at http:\/\/127\.0\.0\.1:\d+\/ cannot be reached \(.*ECONNREFUSED/);
  const back = new MlflowServer();
  await back.listen(port);
  try {
    tracked.epoch(record(3));
    await settled();
    back.failing = 503;
    tracked.epoch(record(4));
    await settled();
    back.failing = undefined;
    await tracked.end('FINISHED', { 'ndcg@10': 0.5 }, 3);
    const [logged] = back.runs.values();
    assert.equal(
      logged.metrics['train/loss'].map(([step]) => step),
      [1, 2, 3, 4],
    );
    assert.is(logged.metrics['valid/ndcg_at_10'], undefined, 'NaN cannot be sent');
    assert.is(Object.keys(logged.params).length, 230);
    assert.equal([logged.status, back.runs.size], ['FINISHED', 1]);
  } finally {
    rmSync(join(context.folder, 'mlflow.json'));
    await back.close();
  }
});

test('no server at all, or one that refuses: the run is as without, and says so once', async (context) => {
  const { server } = context;
  server.failing = 401;
  const refused = listener();
  const result = await run(context, refused, 'refused');
  assert.ok(existsSync(join(result.run, 'result.json')));
  assert.is(refused.warnings.length, 1);
  assert.match(refused.warnings[0], 'is not logged to MLflow');
  assert.match(refused.warnings[0], 'experiments/get-by-name: 401');
  assert.is(server.asked.length, 1);
});

test('credentials come from the environment, and are in no file of the run', async (context) => {
  process.env.MLFLOW_TRACKING_USERNAME = 'me';
  process.env.MLFLOW_TRACKING_PASSWORD = 'a-secret-word';
  try {
    const result = await run(context, listener(), 'secret');
    const header = `Basic ${Buffer.from('me:a-secret-word').toString('base64')}`;
    assert.equal([...context.server.authorizations], [header]);
    for (const name of readdirSync(result.run))
      assert.not.match(readFileSync(join(result.run, name), 'latin1'), 'a-secret-word');
  } finally {
    delete process.env.MLFLOW_TRACKING_USERNAME;
    delete process.env.MLFLOW_TRACKING_PASSWORD;
  }
  const url = 'http://me:a-secret-word@localhost:5000';
  const error = await run({ ...context, url }, listener(), 'secret').catch((reason: Error) => reason);
  assert.match((error as Error).message, 'MLFLOW_TRACKING_USERNAME');
});

test.run();
