import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UsageError, UserError } from '../../common/errors.ts';
import { Progress, type ProgressEvent } from '../../common/progress.ts';
import { readSafetensors } from '../../common/safetensors.ts';
import { tf } from '../../engine/index.ts';
import { models } from '../../models/index.ts';
import { evaluateExperiment, type RunResult, resumeExperiment, runExperiment } from '../../training/index.ts';
import { readRanks } from '../../training/ranks.ts';
import { writeDataset } from './support.ts';

const test = suite<{ folder: string; data: string }>('run');

test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-experiment-'));
  process.env.REC_CACHE = join(context.folder, 'cache');
  context.data = writeDataset(join(context.folder, 'rings'), { users: 150 });
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

const small = ['model.hiddenSize=16', 'train.batchSize=128', 'train.learningRate=0.005', 'eval.topk=5,10'];
const text = ['encoder.dims=16', 'model.adaptorDropout=0'];
const quiet = ['model.hiddenDropout=0.1', 'model.attentionDropout=0.1'];

function run(
  { folder, data }: { folder: string; data: string },
  model: string,
  set: string[],
  events: ProgressEvent[] = [],
): Promise<RunResult> {
  const progress = new Progress((event) => events.push(event));
  const encoder = set.some((setting) => setting.startsWith('encoder.')) ? 'lsa' : undefined;
  return runExperiment(
    { model, encoder, dataset: data, runs: join(folder, 'runs'), set: [...small, ...set] },
    progress,
  );
}

async function failure(work: Promise<unknown>): Promise<Error> {
  const error = await work.then(
    () => assert.unreachable('nothing was thrown'),
    (reason: unknown) => reason,
  );
  assert.instance(error, UserError, String(error));
  return error as Error;
}

/** Every figure of the test rows follows from the ranks that the run saved. */
async function assertRanks({ run, rows, seen, byPopularity, baselines }: RunResult): Promise<void> {
  const ranks = await readRanks(join(run, 'ranks.safetensors'));
  for (const rule of ['kept', 'filtered'] as const) {
    assert.is(ranks[rule].length, rows.test);
    const recall = ranks[rule].filter((rank) => rank < 5).length / rows.test;
    const ndcg =
      ranks[rule].reduce((sum, r) => sum + (r < 5 ? Math.LN2 / Math.log(r + 2) : 0), 0) / rows.test;
    assert.ok(Math.abs(recall - seen[rule]['recall@5']) < 1e-12);
    assert.ok(Math.abs(ndcg - seen[rule]['ndcg@5']) < 1e-12);
    for (const [name, columns] of Object.entries(ranks.baselines)) {
      const hits = columns[rule].filter((rank) => rank < 5).length;
      assert.ok(Math.abs(hits / rows.test - baselines[name].seen[rule]['recall@5']) < 1e-12, name);
    }
  }
  assert.equal(Object.keys(ranks.baselines), Object.keys(baselines));
  assert.is(ranks.targetCount.filter((n) => n > 20).length, byPopularity['21+'].rows);
  assert.is(ranks.targetCount.filter((n) => n === 0).length, byPopularity.unseen.rows);
}

for (const { name, input } of models.trained()) {
  test(`${name}: users go around rings, and the model finds out`, async (context) => {
    const set = input === 'id' ? [] : text;
    const regular = name === 'gru4rec' ? [] : quiet;
    const result = await run(context, name, [...set, ...regular, 'train.epochs=25', 'train.patience=4']);
    assert.is(result.model, name);
    assert.is(result.dataset, 'rings');
    assert.is(result.encoder, input === 'id' ? null : 'lsa');
    assert.is(result.items, 30);
    assert.is(result.rows.test, 150);
    assert.ok(result.epochs.best >= 1 && result.epochs.best <= result.epochs.run && result.epochs.run <= 25);
    const { test, baselines, valid } = result;
    const popular = baselines.popularity.test['ndcg@5'];
    assert.ok(test['ndcg@5'] > 2 * popular, `${test['ndcg@5']}, most popular ${popular}`);
    assert.ok(result.timing.trainSecondsPerEpoch > 0 && result.peakRssMb > 50);

    // The folder tells the same, and the checkpoint in it is the best epoch's.
    const lines = readFileSync(join(result.run, 'metrics.jsonl'), 'utf8').trimEnd().split('\n');
    const records = lines.map((line) => JSON.parse(line));
    assert.is(records.length, result.epochs.run);
    assert.equal(records[result.epochs.best - 1].valid, valid);
    assert.equal(JSON.parse(readFileSync(join(result.run, 'result.json'), 'utf8')), result);
    await assertRanks(result);
    const again = await evaluateExperiment({ folder: result.run, set: [] }, new Progress());
    assert.equal([again.valid, again.test, again.epochs], [valid, test, result.epochs]);
    const other = await evaluateExperiment(
      { folder: result.run, set: ['eval.topk=3', 'eval.filterSeen=true'] },
      new Progress(),
    );
    assert.ok(other.test['recall@3'] <= other.test['recall@10'] && other.protocol.filterSeen);
  });
}

for (const { name } of models.baselines()) {
  test(`${name}: counted, not trained; a run like any other, and the same figures as the yardstick`, async (context) => {
    const events: ProgressEvent[] = [];
    const settings = { dataset: context.data, runs: join(context.folder, 'runs') };
    const set = ['train.epochs=25', 'eval.topk=5,10'];
    const progress = new Progress((event) => events.push(event));
    const result = await runExperiment({ model: name, ...settings, set, device: 'webgpu' }, progress);
    assert.equal([result.model, result.encoder, result.loss, result.device], [name, null, 'none', 'cpu']);
    assert.equal(result.epochs, { run: 0, best: 0, stop: 'counted, not trained' });
    assert.ok(result.valid['ndcg@10'] > 0 && result.timing.evalRowsPerSecond > 0);
    const { test, seen, byPopularity, baselines } = result;
    assert.equal(Object.keys(baselines), ['popularity', 'item-transition']);
    assert.ok(baselines['item-transition'].test['ndcg@5'] > 2 * baselines.popularity.test['ndcg@5']);
    const { 'coverage@5': coverage, ...metrics } = test;
    assert.ok(coverage > 0 && coverage <= 1);
    for (const key of Object.keys(metrics).filter((key) => /^(coverage|popularity)@/.test(key)))
      delete metrics[key];
    assert.equal({ test: metrics, seen, byPopularity }, baselines[name]);
    assert.not.ok(events.some((event) => event.kind === 'begin' && event.task.startsWith('epoch')));

    const files = ['config.yaml', 'dataset.json', 'environment.json', 'ranks.safetensors', 'result.json'];
    assert.equal(readdirSync(result.run).sort(), files);
    await assertRanks(result);
    assert.equal(JSON.parse(readFileSync(join(result.run, 'result.json'), 'utf8')), result);
    const resume = () => resumeExperiment({ resume: result.run, set: [], runs: '' }, new Progress());
    assert.equal(await resume(), result);
    // Killed before its result was written, it is counted again.
    const evaluate = () =>
      evaluateExperiment({ folder: result.run, set: ['eval.filterSeen=true'] }, new Progress());
    rmSync(join(result.run, 'result.json'));
    const again = [await evaluate(), await resume(), await evaluate()];
    for (const { valid, test, epochs } of [again[1]])
      assert.equal([valid, test, epochs], [result.valid, result.test, result.epochs]);
    for (const other of [again[0], again[2]]) {
      assert.equal(other.epochs, result.epochs);
      assert.is(other.test['ndcg@5'], seen.filtered['ndcg@5']);
      assert.is(other.baselines[name].test['ndcg@5'], seen.filtered['ndcg@5']);
    }
    for (const text of ['null', '{}', '{"epochs": 3}', '']) {
      writeFileSync(join(result.run, 'result.json'), text);
      for (const read of [evaluate, resume])
        assert.match((await failure(read())).message, /result\.json: not .*\. Remove the file, and resume/);
    }
  });
}

test('a run that cannot be evaluated or gone on with is closed', async (context) => {
  const result = await run(context, 'sasrec', ['train.epochs=1']);
  writeFileSync(join(result.run, 'dataset.json'), '{"hash":');
  const variables = () => Object.keys(tf.engine().state.registeredVariables).length;
  const before = variables();
  const evaluated = await failure(evaluateExperiment({ folder: result.run, set: [] }, new Progress()));
  assert.match(evaluated.message, 'dataset.json: not valid JSON');
  rmSync(join(result.run, 'result.json'));
  await failure(resumeExperiment({ resume: result.run, set: [], runs: '' }, new Progress()));
  assert.is(variables(), before);
});

test('pre-trained, then fine-tuned from it: what fits is taken, the rest named, the frozen part stays', async (context) => {
  const base = [...text, ...quiet, 'train.epochs=6'];
  const pretrained = await run(context, 'unisrec', [...base, 'model.stage=pretrain']);
  const losses = readFileSync(join(pretrained.run, 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((l) => JSON.parse(l).loss);
  assert.ok(losses.at(-1) < losses[0], String(losses));

  const events: ProgressEvent[] = [];
  const init = `train.init=${pretrained.run}`;
  const tuned = await run(
    context,
    'unisrec',
    [...base, init, 'model.stage=transductive', 'model.freezeSequence=true'],
    events,
  );
  const notes = events.flatMap((event) => (event.kind === 'note' ? [event.text] : []));
  assert.ok(
    notes.some((note) => note.includes(pretrained.run) && /: item\.weight$/.test(note)),
    notes.join('\n'),
  );
  const [before, after] = await Promise.all(
    [pretrained, tuned].map((r) => readSafetensors(join(r.run, 'best.safetensors'))),
  );
  for (const [name, { data }] of before.tensors) {
    const same = data.every((x, i) => x === after.tensors.get(name)!.data[i]);
    assert.is(same, name.startsWith('transformer.'), name);
  }
  assert.ok(after.tensors.has('item.weight'));
});

test('a start that does not fit is said', async (context) => {
  const { folder } = context;
  const ids = await run(context, 'gru4rec', ['train.epochs=1']);
  const file = join(ids.run, 'best.safetensors');
  const attempt = (init: string) => failure(run(context, 'unisrec', [...text, `train.init=${init}`]));
  assert.match((await attempt(file)).message, `${file}: no tensor of it has the name and shape`);
  const nowhere = join(folder, 'nowhere');
  assert.match((await attempt(nowhere)).message, `${nowhere}: does not exist`);
});

test('what the schemas cannot check is refused, and leaves no run folder', async (context) => {
  const runs = join(context.folder, 'runs');
  const count = () => (existsSync(runs) ? readdirSync(runs).length : 0);
  const before = count();
  const metric = await failure(run(context, 'gru4rec', ['train.metric=auc@10']));
  assert.instance(metric, UsageError);
  assert.match(metric.message, "train.metric 'auc@10' (from --set");
  const words = await failure(
    run(context, 'unisrec', [...text, 'model.stage=pretrain', 'model.dropWords=0.2']),
  );
  assert.instance(words, UsageError);
  assert.match(words.message, /^model\.dropWords .*an encoder whose vectors depend on one text each/);
  assert.is(count(), before);
});

test('a metric at another length decides, and is reported', async (context) => {
  const result = await run(context, 'gru4rec', ['train.metric=recall@7', 'train.epochs=3']);
  assert.ok('recall@7' in result.test && 'recall@10' in result.test);
});

test.run();
