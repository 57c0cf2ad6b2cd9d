import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { execHere } from './rec.ts';

const test = suite<{ folder: string }>('report');

test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-cli-report-'));
  process.env.REC_CACHE = join(context.folder, 'cache');
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

test('runs, then a report of them on standard output and in files', async ({ folder }) => {
  const runs = join(folder, 'runs');
  for (const seed of ['1', '2']) {
    const settings = ['--set', 'model.hiddenSize=8', 'model.embeddingSize=8', 'train.epochs=2'];
    const ran = await execHere([
      'run',
      '--quiet',
      '--model',
      'gru4rec',
      '--seed',
      seed,
      '--runs',
      runs,
      ...settings,
    ]);
    assert.is(ran.code, 0, ran.stderr);
  }
  const out = ['a.md', 'b.csv'].map((name) => join(folder, name));
  const files = out.flatMap((path) => ['--out', path]);
  const text = await execHere(['report', runs, '--quiet', '--baseline', 'item-transition', ...files]);
  assert.is(text.code, 0, text.stderr);
  assert.match(text.stdout, /^gru4rec +2 /m);
  assert.match(text.stdout, 'Generated, not real data: demo.');
  for (const path of out) assert.match(readFileSync(path, 'utf8'), 'gru4rec');

  const json = await execHere([
    'report',
    runs,
    '--quiet',
    '--json',
    '--metrics',
    'ndcg@5',
    '--seen',
    'filtered',
  ]);
  const report = JSON.parse(json.stdout);
  assert.equal([report.seen, report.metrics, report.datasets[0].name], ['filtered', ['ndcg@5'], 'demo']);
  const transitions = report.systems.find(({ model }: { model: string }) => model === 'item-transition');
  assert.is(transitions.results[0].metrics['ndcg@5'].best, true);
});

test('a run is repeated, and is the same', async ({ folder }) => {
  const runs = join(folder, 'counted');
  const ran = await execHere(['run', '--quiet', '--json', '--model', 'popularity', '--runs', runs]);
  const { run } = JSON.parse(ran.stdout);
  const again = await execHere(['rerun', run, '--quiet', '--runs', runs]);
  assert.is(again.code, 0, again.stderr);
  assert.match(
    again.stdout,
    'identical: losses, validation metrics, best parameters and test ranks are equal',
  );
  assert.match(again.stdout, /^test ndcg@10 .* equal$/m);
  // Where nothing of the environment has changed, another figure is a failure.
  const result = join(run, 'result.json');
  writeFileSync(result, readFileSync(result, 'utf8').replace(/"ndcg@10": [\d.e-]+/g, '"ndcg@10": 0.5'));
  const other = await execHere(['rerun', run, '--quiet', '--runs', runs]);
  assert.is(other.code, 1);
  assert.match(other.stdout, 'not identical: metrics differ');
  assert.match(other.stderr, 'could not be repeated');
});

test('wrong usage exits with 2 and writes nothing', async ({ folder }) => {
  const out = join(folder, 'a.html');
  for (const [args, message] of [
    [['report'], 'a required argument is missing: <runs>'],
    [
      ['report', folder, '--seen', 'filterd'],
      "unknown seen 'filterd'; did you mean 'filtered'? Must be one of [filtered, kept]",
    ],
    [['report', folder, '--out', 'a.doc'], 'must end with one of'],
  ] as const) {
    const { code, stdout, stderr } = await execHere([...args]);
    assert.is(code, 2, stderr);
    assert.is(stdout, '');
    assert.match(stderr, message);
  }
  const nowhere = await execHere(['report', join(folder, 'nowhere'), '--out', out]);
  assert.is(nowhere.code, 1, 'as of other commands that read a run');
  assert.match(nowhere.stderr, 'nowhere: does not exist');
  assert.not.ok(existsSync(out));
});

test.run();
