import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { epochsOf, outcomes, runsIn, until, workingOn, writeSweep } from '../sweeps/support.ts';
import { writeDataset } from '../training/support.ts';
import { run, start } from './rec.ts';

const test = suite<{ folder: string; file: string; data: string }>('sweep');

test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-cli-sweep-'));
  process.env.REC_CACHE = join(context.folder, 'cache');
  context.data = writeDataset(join(context.folder, 'rings'));
  context.file = writeSweep(context.folder, context.data);
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

const begun = (folder: string) => runsIn(folder).some((path) => epochsOf(path).length > 1);

test('interrupted by Ctrl-C, then killed, then given again, a sweep ends as one that was left alone', async ({
  folder,
  file,
}) => {
  const whole = join(folder, 'whole');
  const left = run(['sweep', file, '--folder', whole, '--json', '--quiet']);
  const broken = join(folder, 'broken');
  const args = ['sweep', file, '--folder', broken, '--jobs', '2'];
  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    const before = runsIn(broken).flatMap(epochsOf).length;
    const { child, ended } = start(args);
    await until(
      () => child.exitCode !== null || (begun(broken) && runsIn(broken).flatMap(epochsOf).length > before),
    );
    child.kill(signal);
    const { code, stderr } = await ended;
    assert.is(code, signal === 'SIGINT' ? 130 : null, stderr);
    // A sweep that could say goodbye waits for its trials; one that could not is noticed by them.
    if (signal === 'SIGINT') assert.equal(workingOn(broken), []);
    else await until(() => workingOn(broken).length === 0);
    assert.not.ok(
      runsIn(broken).every((path) => existsSync(join(path, 'result.json'))),
      'it was over too soon',
    );
  }
  const again = await run(args);
  assert.is(again.code, 0, again.stderr);
  const printed = await left;
  assert.is(printed.code, 0, printed.stderr);
  assert.equal(outcomes(broken), outcomes(whole));
  const listed = JSON.parse(readFileSync(join(whole, 'sweep.json'), 'utf8'));
  assert.equal(JSON.parse(printed.stdout), listed);
  assert.match(again.stdout, 'best on rings: ndcg@10');
  const { best } = listed.trials.toSorted((a: { best: number }, b: { best: number }) => b.best - a.best)[0];
  assert.match(again.stdout.split('\n')[1], `${best.toFixed(4)}`);
});

test('a trial that fails twice is reported with its error, and the command fails', async ({
  folder,
  data,
}) => {
  const more = 'grid: { train.learningRate: [0.001, 1.0e+30] }';
  const file = writeSweep(folder, data, { epochs: 2, more });
  const { code, stdout, stderr } = await run(['sweep', file, '--runs', folder]);
  assert.is(code, 1, stderr);
  assert.match(stderr, /learningRate=1e\+30: failed, is tried once more: training diverged/);
  assert.match(stderr, 'rec: 1 of 2 trials failed');
  assert.match(stdout, 'failed: train.learningRate=1e+30: training diverged: the loss is NaN');
  assert.match(stdout, /0\.001 +2 .*done: all 2 epochs/);
});

test.run();
