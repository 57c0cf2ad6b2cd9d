import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { Progress } from '../../common/progress.ts';
import { randomisationTest } from '../../evaluation/significance.ts';
import { makeReport, type Report, type ReportOptions } from '../../reports/report.ts';
import { type Described, ROWS, ranksOf, targetCount, USERS, writeRun } from './support.ts';

const test = suite<{ folder: string }>('report');
test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-report-'));
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

/** Writes the runs and reports them. */
async function reported(
  folder: string,
  runs: readonly Described[],
  options: Partial<ReportOptions> = {},
): Promise<Report> {
  rmSync(folder, { recursive: true, force: true });
  for (const [i, run] of runs.entries()) await writeRun(join(folder, `run-${i}`), run);
  return makeReport({ paths: [folder], baselines: [], ...options }, new Progress());
}

const system = (report: Report, name: string) => {
  const found = report.systems.find((one) => one.name === name);
  if (!found) throw new Error(`no ${name} among ${report.systems.map((one) => one.name)}`);
  return found;
};
async function failure(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.instance(error, UserError, String(error));
  return (error as Error).message;
}
const near = (actual: number | undefined, expected: number) =>
  assert.ok(actual !== undefined && Math.abs(actual - expected) < 1e-12, `${actual} is not ${expected}`);
const hits = (ranks: Int32Array, k: number) => Array.from(ranks, (rank): number => (rank < k ? 1 : 0));
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

const seeds = [1, 2, 3];
const good: Described[] = seeds.map((seed) => ({ model: 'unisrec', encoder: 'lsa', seed, level: 13 }));
const fair: Described[] = seeds.map((seed) => ({ model: 'sasrec', seed, level: 16 }));

test('seeds are one system: mean, sample standard deviation, cost and curves', async ({ folder }) => {
  const report = await reported(join(folder, 'seeds'), [...good, ...fair]);
  assert.equal(report.metrics, ['recall@10', 'ndcg@10', 'recall@50', 'ndcg@50']);
  assert.equal(
    report.systems.map(({ name }) => name),
    ['popularity', 'sasrec', 'unisrec, lsa'],
  );
  const [result] = system(report, 'sasrec').results;
  assert.equal([result?.seeds, result?.runs], [seeds, ['run-3', 'run-4', 'run-5']]);
  const recalls = fair.map((run) => mean(hits(ranksOf(run).kept, 10)));
  const { values, mean: average, sd, best } = result!.metrics['recall@10'];
  for (const [i, value] of values.entries()) near(value, recalls[i]);
  near(average, mean(recalls));
  near(sd, Math.sqrt(recalls.reduce((sum, x) => sum + (x - mean(recalls)) ** 2, 0) / 2));
  assert.not.ok(best);
  assert.ok(system(report, 'unisrec, lsa').results[0]?.metrics['recall@10'].best);
  assert.equal(result?.cost, {
    epochs: 2,
    secondsPerEpoch: 3,
    totalSeconds: 120,
    evalRowsPerSecond: 1000,
    peakMb: 502,
  });
  assert.equal(result?.curves[1], {
    seed: 2,
    metric: 'ndcg@10',
    points: [
      { epoch: 1, seconds: 3, loss: 5, valid: 0.1 },
      { epoch: 2, seconds: 6, loss: 2.5, valid: 0.2 },
    ],
  });
});

test('buckets are means over seeds of the rows whose target training saw so often', async ({ folder }) => {
  const report = await reported(join(folder, 'buckets'), fair);
  const [result] = system(report, 'sasrec').results;
  const rows = [...targetCount.keys()].filter((row) => targetCount[row] === 12);
  assert.is(result?.buckets['6-20'].rows, rows.length);
  near(
    result?.buckets['6-20'].metrics['recall@10'],
    mean(fair.map((run) => mean(rows.map((row) => hits(ranksOf(run).kept, 10)[row])))),
  );
});

test('each system is tested against the best other one, user by user, and the pair of the best two once', async ({
  folder,
}) => {
  const report = await reported(join(folder, 'tests'), [...good, ...fair], { metrics: ['recall@10'] });
  const comparison = (name: string) => system(report, name).results[0]!.metrics['recall@10'].comparison!;
  const userSums = (runs: readonly Described[]) => {
    const rows = runs.map((run) => hits(ranksOf(run).kept, 10));
    return Array.from({ length: USERS }, (_, user) =>
      mean(rows.map((values) => values.slice(4 * user, 4 * user + 4).reduce((a, b) => a + b))),
    );
  };
  const [ours, theirs] = [userSums(good), userSums(fair)];
  const p = randomisationTest(ours.map((value, user) => value - theirs[user]));
  assert.ok(p < 0.05 && p > 1e-5, String(p));
  assert.is(comparison('unisrec, lsa').against, 'sasrec');
  assert.is(comparison('sasrec').against, 'unisrec, lsa');
  assert.is(comparison('popularity').against, 'unisrec, lsa');
  // Drawn patterns: another order of the same differences is another draw.
  assert.ok(Math.abs(comparison('unisrec, lsa').p! - p) < 0.002, `${comparison('unisrec, lsa').p}, not ${p}`);
  assert.is(comparison('sasrec').p, comparison('unisrec, lsa').p);
  near(comparison('unisrec, lsa').improvement, mean(ours) / mean(theirs) - 1);
  near(comparison('sasrec').improvement, mean(theirs) / mean(ours) - 1);
  // Holm over two tests: the smaller p-value twice.
  assert.is(report.tests, 2);
  const [smaller, larger] = [comparison('popularity'), comparison('sasrec')].sort((a, b) => a.p! - b.p!);
  near(smaller.adjusted, 2 * smaller.p!);
  near(larger.adjusted, Math.max(larger.p!, 2 * smaller.p!));
});

test('named baselines are compared with by the others, and the best of them counts', async ({ folder }) => {
  const runs = [...good, ...fair, { model: 'gru4rec', level: 30 }];
  const report = await reported(join(folder, 'named'), runs, { baselines: ['gru4rec', 'popularity'] });
  for (const metric of report.metrics) {
    for (const name of ['sasrec', 'unisrec, lsa'])
      assert.is(system(report, name).results[0]?.metrics[metric].comparison?.against, 'gru4rec');
    for (const name of ['gru4rec', 'popularity'])
      assert.is(system(report, name).results[0]?.metrics[metric].comparison, undefined);
  }
  assert.is(report.tests, 8);
  const wrong = reported(join(folder, 'named'), runs, { baselines: ['gru4rek'] });
  assert.match(await failure(wrong), "unknown baseline 'gru4rek' (from --baseline); did you mean 'gru4rec'?");
});

test('equal systems do not differ', async ({ folder }) => {
  const twins = [good[0], { ...good[0], settings: { 'model.layers': 1 } }];
  const report = await reported(join(folder, 'twins'), twins);
  const { comparison, best } = system(report, 'unisrec, lsa, model.layers=1').results[0]!.metrics['ndcg@10'];
  assert.equal([comparison?.improvement, comparison?.p, comparison?.adjusted, best], [0, 1, 1, true]);
});

test('runs of other settings are other systems, told apart by what differs; what is incidental is not', async ({
  folder,
}) => {
  const wide = seeds.map((seed) => ({
    ...fair[0],
    seed,
    settings: { 'model.layers': 4, device: 'cpu', 'eval.batchSize': seed },
  }));
  const report = await reported(join(folder, 'settings'), [...fair, ...wide]);
  assert.equal(
    report.systems.map(({ name, results }) => [name, results[0]?.seeds.length]),
    [
      ['popularity', 0],
      ['sasrec, model.layers=2', 3],
      ['sasrec, model.layers=4', 3],
    ],
  );
});

test('of runs that repeat one another the last counts; unfinished and damaged ones are named', async ({
  folder,
}) => {
  const runs = join(folder, 'repeats');
  await reported(runs, [fair[0], fair[0], fair[1]]);
  const unfinished = await writeRun(join(runs, 'unfinished'), fair[2]);
  rmSync(join(unfinished, 'result.json'));
  const old = await writeRun(join(runs, 'old'), fair[2]);
  rmSync(join(old, 'ranks.safetensors'));
  const damaged = await writeRun(join(runs, 'damaged'), fair[2]);
  writeFileSync(join(damaged, 'ranks.safetensors'), 'hello');
  const mixed = await writeRun(join(runs, 'mixed-up'), fair[2]);
  cpSync(join(runs, 'run-0', 'ranks.safetensors'), join(mixed, 'ranks.safetensors'));
  mkdirSync(join(runs, 'something-else'));
  const report = await makeReport({ paths: [runs, join(runs, 'run-0')], baselines: [] }, new Progress());
  assert.equal(system(report, 'sasrec').results[0]?.runs, ['run-1', 'run-2']);
  const reasons = report.leftOut.map(({ folder, reason }) => [folder.replace(`${runs}/`, ''), reason]);
  assert.equal(reasons.map(([name]) => name).sort(), ['damaged', 'mixed-up', 'old', 'run-0', 'unfinished']);
  const reasonOf = Object.fromEntries(reasons);
  assert.match(reasonOf.damaged, 'not a valid safetensors');
  assert.match(
    reasonOf['mixed-up'],
    /ranks\.safetensors: its recall@10 is 0\.\d+, that of result\.json is 0\.\d+/,
  );
  assert.match(reasonOf['run-0'], 'repeated by run-1');
});

test('what only counts comes first, then models of ids, then those of texts, each as they were given', async ({
  folder,
}) => {
  const described = ['unisrec roberta', 'sasrec', 'unisrec blair', 'gru4rec', 'sasrec-text roberta'];
  const report = await reported(
    join(folder, 'order'),
    described.map((words) => {
      const [model, encoder] = words.split(' ');
      return { model, encoder, level: 30 };
    }),
  );
  assert.equal(
    report.systems.map(({ name }) => name),
    ['popularity', 'sasrec', 'gru4rec', 'unisrec, roberta', 'unisrec, blair', 'sasrec-text, roberta'],
  );
});

test('datasets are columns; one name with other test rows is another one', async ({ folder }) => {
  const report = await reported(join(folder, 'datasets'), [
    ...good,
    { ...fair[0], dataset: 'games' },
    { ...fair[0], rows: 2 },
  ]);
  const [first, , third] = report.datasets.map(({ rowsHash }) => rowsHash.slice(0, 6));
  assert.equal(
    report.datasets.map(({ name, rows }) => [name, rows]),
    [
      [`shop ${first}`, ROWS],
      ['games', ROWS],
      [`shop ${third}`, ROWS],
    ],
  );
  assert.equal(
    system(report, 'sasrec').results.map((result) => result?.seeds.length),
    [undefined, 1, 1],
  );
});

test('the rule for seen items: that of the runs, or the one asked for; metrics of any length', async ({
  folder,
}) => {
  const filtered = fair.map((run) => ({ ...run, filterSeen: true }));
  const recall = (rule: 'kept' | 'filtered', k: number) =>
    mean(fair.map((run) => mean(hits(ranksOf(run)[rule], k))));
  const value = (report: Report, metric: string) => system(report, 'sasrec').results[0]?.metrics[metric].mean;
  near(value(await reported(join(folder, 'seen'), filtered), 'recall@10'), recall('filtered', 10));
  near(
    value(await reported(join(folder, 'seen'), [...filtered.slice(1), fair[0]]), 'recall@10'),
    recall('kept', 10),
  );
  const asked = await reported(join(folder, 'seen'), fair, {
    seen: 'filtered',
    metrics: ['recall@7', 'mrr@3'],
  });
  near(value(asked, 'recall@7'), recall('filtered', 7));
  assert.equal(asked.metrics, ['recall@7', 'mrr@3']);
});

test("a sweep's runs are those that it lists; of others it says where they stand", async ({ folder }) => {
  const sweep = join(folder, 'sweep');
  await reported(sweep, [fair[0], fair[1], good[0]]);
  rmSync(join(sweep, 'run-1', 'result.json'));
  const trials = [
    { run: 'run-0', status: 'done', stop: 'all 2 epochs' },
    { run: 'run-1', status: 'stopped', stop: 'place 2 of 2 after epoch 1' },
    { run: 'run-9', status: 'failed', error: 'no space left' },
  ];
  const listed = [
    { run: 'pretrain-mlm', settings: { pretrain: 'mlm' }, status: 'done' },
    ...trials.map((trial, seed) => ({ ...trial, settings: { seed } })),
  ];
  writeFileSync(join(sweep, 'sweep.json'), JSON.stringify({ trials: listed }));
  const report = await makeReport({ paths: [sweep], baselines: [] }, new Progress());
  assert.equal(
    report.systems.map(({ name }) => name),
    ['popularity', 'sasrec'],
  );
  assert.equal(report.leftOut, [
    { folder: join(sweep, 'run-1'), reason: 'stopped: place 2 of 2 after epoch 1' },
    { folder: join(sweep, 'run-9'), reason: 'failed: no space left' },
  ]);
});

test('runs whose files are damaged are left out, with file and reason; the others are reported', async ({
  folder,
}) => {
  const runs = join(folder, 'damaged');
  const whole = { ...fair[0], seed: 9 };
  const damages: [string, string, string][] = [
    ['result.json', 'null', 'result.json: not a result: Invalid input'],
    ['result.json', '{}', 'result.json: not a result: test: '],
    ['result.json', '', 'result.json: not valid JSON'],
    ['metrics.jsonl', 'null\n', 'metrics.jsonl:1: not the record of an epoch'],
    ['metrics.jsonl', '{"epoch": 1, "valid": 3}\n', 'metrics.jsonl:1: not the record of an epoch'],
  ];
  await writeRun(join(runs, 'whole'), whole);
  for (const [i, [file, text]] of damages.entries()) {
    await writeRun(join(runs, `run-${i}`), { ...whole, seed: i });
    writeFileSync(join(runs, `run-${i}`, file), text);
  }
  const odd = join(runs, 'run-odd');
  await writeRun(odd, { ...whole, seed: 10 });
  const result = JSON.parse(readFileSync(join(odd, 'result.json'), 'utf8'));
  writeFileSync(join(odd, 'result.json'), JSON.stringify({ ...result, test: 'x' }));
  const report = await makeReport({ paths: [runs], baselines: [] }, new Progress());
  assert.equal(system(report, 'sasrec').results[0]?.seeds, [9]);
  for (const [i, [, , reason]] of [...damages, ['', '', 'result.json: not a result: test: ']].entries())
    assert.match(report.leftOut[i].reason, reason);
  assert.match(report.leftOut[0].reason, 'Remove the file, and resume the run: it is written anew');
  assert.is(report.leftOut.length, damages.length + 1);
  const sweep = join(folder, 'damaged-sweep');
  mkdirSync(sweep);
  writeFileSync(join(sweep, 'sweep.json'), 'null');
  assert.match(
    await failure(makeReport({ paths: [sweep], baselines: [] }, new Progress())),
    'sweep.json: lists no trials',
  );
});

test('what cannot be reported is said', async ({ folder }) => {
  const attempt = (paths: string[], metrics?: string[]) =>
    failure(makeReport({ paths, baselines: [], metrics }, new Progress()));
  const runs = join(folder, 'unfit');
  await reported(runs, [fair[0]]);
  assert.match(await attempt([join(folder, 'nowhere')]), 'nowhere: does not exist');
  assert.match(await attempt([join(runs, 'run-0', 'config.yaml')]), 'is a file; name the folder');
  mkdirSync(join(folder, 'empty'));
  assert.match(await attempt([join(folder, 'empty')]), 'no run folder');
  assert.match(await attempt([runs], ['auc@10']), "unknown metric 'auc@10'");
  rmSync(join(runs, 'run-0', 'result.json'));
  assert.match(await attempt([runs]), 'there is no finished run to report; ');
  assert.ok(existsSync(join(runs, 'run-0', 'config.yaml')));
});

test.run();
