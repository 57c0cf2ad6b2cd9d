import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Progress } from '../../common/progress.ts';
import { gitState } from '../../training/environment.ts';
import { runExperiment } from '../../training/index.ts';
import { compareRuns, type Rerun, rerunExperiment } from '../../training/rerun.ts';
import { RunFolder } from '../../training/run-folder.ts';
import { writeDataset } from './support.ts';

const test = suite<{ folder: string; data: string; run: string; runs: string }>('rerun');

test.before(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-rerun-'));
  process.env.REC_CACHE = join(context.folder, 'cache');
  context.data = writeDataset(join(context.folder, 'rings'));
  context.runs = join(context.folder, 'runs');
  const set = [
    'model.hiddenSize=8',
    'encoder.dims=8',
    'train.batchSize=64',
    'train.epochs=3',
    'eval.topk=5,10',
  ];
  const options = { model: 'sasrec-text', encoder: 'lsa', dataset: context.data, set, seed: '5' };
  context.run = (await runExperiment({ ...options, runs: context.runs }, new Progress())).run;
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

const json = (...path: string[]) => JSON.parse(readFileSync(join(...path), 'utf8'));

/** The run beside a copy of it in which something is otherwise. */
function besideCopy(run: string, name: string, change: (copy: string) => void): Promise<Rerun> {
  const copy = join(run, '..', '..', name);
  cpSync(run, copy, { recursive: true });
  change(copy);
  return compareRuns(RunFolder.open(run), RunFolder.open(copy));
}

function edit(folder: string, name: string, change: (value: Record<string, unknown>) => void): void {
  const value = json(folder, name);
  change(value);
  writeFileSync(join(folder, name), JSON.stringify(value));
}
const otherCpu = (copy: string) =>
  edit(copy, 'environment.json', (value) => Object.assign(value, { cpu: 'another' }));
/** As another order of summing would: everything a little. */
const changeBy = (factor: number) => (copy: string) => {
  edit(copy, 'result.json', (value) => {
    const metrics = value.test as Record<string, number>;
    for (const name of Object.keys(metrics)) metrics[name] *= factor;
  });
  const [first, ...rest] = readFileSync(join(copy, 'metrics.jsonl'), 'utf8').split('\n');
  const record = JSON.parse(first);
  record.loss *= 1 + (factor - 1) / 100;
  writeFileSync(join(copy, 'metrics.jsonl'), [JSON.stringify(record), ...rest].join('\n'));
};

test('a repeated run is the same to the last bit, in a folder of its own', async ({ run, runs }) => {
  const rerun = await rerunExperiment({ folder: run, runs }, new Progress());
  assert.equal([rerun.changed, rerun.differences, rerun.identical, rerun.repeated], [[], [], true, true]);
  assert.is(readdirSync(runs).length, 2);
  const [one, two] = [rerun.before, rerun.after].map((folder) => json(folder, 'result.json'));
  assert.equal([one.test, one.valid, one.epochs], [two.test, two.valid, two.epochs]);
  assert.equal(rerun.figures.map(({ name, before, after }) => [name, before === after]).slice(0, 3), [
    ['training loss, epoch 1', true],
    ['test recall@5', true],
    ['test ndcg@5', true],
  ]);
});

test('environment.json names what decides the last bits', ({ run }) => {
  const environment = json(run, 'environment.json');
  const { version, dependencies } = json('package.json');
  assert.equal([environment.rec, environment.libraries], [version, dependencies]);
  assert.equal([environment.node, environment.device], [process.version, 'cpu']);
  assert.ok(environment.threads >= 1);
  if (process.platform === 'linux' && process.arch === 'x64')
    assert.ok(environment.cpuFeatures.includes('sse2'));
  if (environment.git) assert.match(environment.git.commit, /^[0-9a-f]{40}$/);
});

test('two states of the checkout with the same files changed are told apart by what has changed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rec-git-'));
  const git = (...args: string[]) => execFileSync('git', ['-C', folder, ...args], { stdio: 'pipe' });
  try {
    git('init', '-q');
    writeFileSync(join(folder, 'a.ts'), 'one');
    git('add', 'a.ts');
    git('-c', 'user.name=t', '-c', 'user.email=t@t', 'commit', '-qm', 'first');
    const clean = gitState(folder)!;
    const [two, three] = ['two', 'three'].map((text) => {
      writeFileSync(join(folder, 'a.ts'), text);
      return gitState(folder)!;
    });
    assert.equal([clean.changed, clean.diff], [[], undefined]);
    assert.equal([two.commit, two.changed], [clean.commit, ['a.ts']]);
    assert.equal(two.changed, three.changed);
    assert.is.not(two.diff, three.diff);
    assert.is(gitState(join(folder, '.git')), undefined, 'a package inside of another checkout');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('in the same environment, any difference is a failure; in another one, it is measured', async ({
  run,
}) => {
  const slightly = changeBy(1.03);
  const here = await besideCopy(run, 'here', slightly);
  assert.equal([here.changed, here.identical, here.repeated], [[], false, false]);
  assert.equal(here.differences, ['loss or validation metrics differ from epoch 1 on', 'metrics differ']);
  const elsewhere = await besideCopy(run, 'elsewhere', (copy) => {
    otherCpu(copy);
    slightly(copy);
  });
  assert.equal([elsewhere.changed, elsewhere.identical, elsewhere.repeated], [['cpu'], false, true]);
  const far = await besideCopy(run, 'far', (copy) => {
    otherCpu(copy);
    changeBy(1.3)(copy);
  });
  assert.not.ok(far.repeated);
  assert.not.ok(far.figures.find(({ name }) => name === 'test recall@10')?.within);
});

test('other parameters, other ranks, fewer epochs are found', async ({ run }) => {
  const found = await besideCopy(run, 'others', (copy) => {
    for (const name of ['best.safetensors', 'ranks.safetensors']) {
      const bytes = readFileSync(join(copy, name));
      // The last value of the file, or of the ranks of the model.
      const length = Number(bytes.readBigUInt64LE(0));
      const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
      const end = name === 'best.safetensors' ? bytes.length : 8 + length + header.kept.data_offsets[1];
      bytes[end - 4] ^= 1;
      writeFileSync(join(copy, name), bytes);
    }
    const lines = readFileSync(join(copy, 'metrics.jsonl'), 'utf8').trimEnd().split('\n');
    writeFileSync(
      join(copy, 'metrics.jsonl'),
      lines
        .slice(0, -1)
        .map((line) => `${line}\n`)
        .join(''),
    );
  });
  assert.equal(found.differences, [
    'loss or validation metrics differ from epoch 3 on',
    'the best epoch has other parameters',
    '1 of 100 test rows have another rank',
  ]);
});

test('what cannot be repeated is said before anything is trained', async ({ folder, run, runs, data }) => {
  const before = readdirSync(runs).length;
  const attempt = (path: string) =>
    rerunExperiment({ folder: path, runs }, new Progress()).then(
      () => '',
      (error: Error) => error.message,
    );
  const unfinished = join(folder, 'unfinished');
  cpSync(run, unfinished, { recursive: true });
  rmSync(join(unfinished, 'result.json'));
  assert.match(await attempt(unfinished), 'it is not finished, so there is nothing to compare with');
  assert.match(await attempt(folder), 'not a run folder');
  const pretraining = join(folder, 'pretraining');
  mkdirSync(pretraining);
  writeFileSync(join(pretraining, 'config.yaml'), 'pairs: pairs.tsv.gz\n');
  assert.match(await attempt(pretraining), 'holds a pretraining, not a run of a recommender');
  const damaged = join(folder, 'damaged');
  cpSync(run, damaged, { recursive: true });
  writeFileSync(join(damaged, 'ranks.safetensors'), 'x');
  assert.match(await attempt(damaged), 'ranks.safetensors: not a valid safetensors file');
  writeDataset(data, { seed: 2 });
  try {
    assert.match(
      await attempt(run),
      "dataset 'rings' has changed since this run began, so it cannot be repeated",
    );
  } finally {
    writeDataset(data);
  }
  assert.is(readdirSync(runs).length, before);
});

test.run();
