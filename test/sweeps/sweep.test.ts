import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Cancelled, UserError } from '../../common/errors.ts';
import type { Plan, Trial } from '../../sweeps/plan.ts';
import { readRunState } from '../../sweeps/run-state.ts';
import { type Executor, Sweep } from '../../sweeps/sweep.ts';

// The order of things, with trainings that are made up: run folders are real, what is in them is a formula.

const test = suite<{ folder: string }>('sweeps/sweep');
test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-sweep-'));
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

const EPOCHS = 12;
const trials = (count: number, change: (i: number) => Partial<Trial> = () => ({})): Trial[] =>
  Array.from({ length: count }, (_, i) => ({
    id: `t${i}`,
    run: `run-${i}`,
    settings: { 'model.layers': i },
    command: ['run'],
    set: [],
    after: [],
    dataset: 'd',
    metric: 'ndcg@10',
    epochs: EPOCHS,
    candidate: `c${i}`,
    inputs: `i${i}`,
    ...change(i),
  }));
const planOf = (list: Trial[], halving: Plan['halving'] = { epochs: 0, factor: 3 }): Plan => ({
  name: 'made-up',
  file: 'made-up.yaml',
  trials: list,
  halving,
});

/** Later trials are better, and all get better with the epochs; the last one looks bad at first. */
const scoreOf = (trial: Trial, epoch: number, count: number) => {
  const i = Number(trial.id.slice(1));
  return i === count - 1 && epoch < 3 ? 0 : i / 100 + epoch / 1000;
};

interface Doing {
  /** Called before each epoch; may throw. */
  before?(trial: Trial, epoch: number): void | Promise<void>;
  count: number;
}

/** Carries trials out by the formula, and writes down what it was asked. */
function madeUp(folder: string, { before, count }: Doing): Executor & { asked: string[] } {
  const asked: string[] = [];
  return {
    width: 2,
    asked,
    async ready() {},
    close() {},
    async advance(trial, until, report) {
      asked.push(`${trial.id} to ${until ?? 'end'}`);
      const run = join(folder, trial.run);
      const begin = async () => {
        mkdirSync(run, { recursive: true });
        writeFileSync(join(run, 'config.yaml'), '');
        report(await readRunState(run, trial.metric));
      };
      report(await readRunState(run, trial.metric));
      let { epochs } = await readRunState(run, trial.metric);
      while (epochs < (until ?? EPOCHS)) {
        epochs++;
        await new Promise((resolve) => setImmediate(resolve));
        await before?.(trial, epochs);
        await begin();
        const valid = { 'ndcg@10': scoreOf(trial, epochs, count) };
        appendFileSync(
          join(run, 'metrics.jsonl'),
          `${JSON.stringify({ epoch: epochs, valid, trainSeconds: 1, evalSeconds: 0 })}\n`,
        );
      }
      if (until === undefined)
        writeFileSync(
          join(run, 'result.json'),
          JSON.stringify({ epochs: { stop: 'all epochs' }, valid: {}, test: {} }),
        );
    },
  };
}

const listed = (folder: string) => JSON.parse(readFileSync(join(folder, 'sweep.json'), 'utf8'));
const statuses = (folder: string) => listed(folder).trials.map(({ status }: { status: string }) => status);

test('halving compares what all have done, pauses the losers, and takes the winners on', async ({
  folder: root,
}) => {
  const folder = join(root, 'halving');
  const executor = madeUp(folder, { count: 9 });
  const sweep = new Sweep(planOf(trials(9), { epochs: 2, factor: 3 }), folder, executor);
  await sweep.run(() => {});
  // Worked out by hand: after epoch 2 trials 7, 6, 5 lead (8 looks bad yet); after epoch 6 trial 7 does.
  const state = (i: number) => `${sweep.rows[i].status} ${sweep.rows[i].state.epochs}`;
  assert.equal(
    sweep.rows.map((_, i) => state(i)),
    [
      'stopped 2',
      'stopped 2',
      'stopped 2',
      'stopped 2',
      'stopped 2',
      'stopped 6',
      'stopped 6',
      'done 12',
      'stopped 2',
    ],
  );
  assert.is(sweep.rows[8].stop, 'place 9 of 9 after epoch 2');
  assert.is(sweep.rows[5].stop, 'place 3 of 3 after epoch 6');
  assert.equal(executor.asked.slice(9).sort(), ['t5 to 6', 't6 to 6', 't7 to 6', 't7 to end']);
});

test('a trial that fails keeps no place from one that can go on, however well it did', async ({
  folder: root,
}) => {
  const folder = join(root, 'halving-failing');
  const before = (trial: Trial, epoch: number) => {
    if (trial.id === 't7' && epoch > 5) throw new UserError('no luck');
  };
  const sweep = new Sweep(
    planOf(trials(9), { epochs: 2, factor: 3 }),
    folder,
    madeUp(folder, { count: 9, before }),
  );
  await sweep.run(() => {});
  // Of 5, 6, 7, the last leads at epoch 5, where it fails.
  const { status, error } = sweep.rows[7];
  assert.is(`${status} ${error}`, 'failed no luck');
  assert.is(sweep.rows[6].status, 'done');
  assert.is(sweep.rows[5].stop, 'place 2 of 3 after epoch 6');
});

test('stopped at any time and run again, a sweep ends as if it had not been, and repeats nothing', async ({
  folder: root,
}) => {
  const whole = join(root, 'whole');
  const plan = planOf(trials(9), { epochs: 2, factor: 3 });
  await new Sweep(plan, whole, madeUp(whole, { count: 9 })).run(() => {});
  const folder = join(root, 'broken');
  let done = 0;
  for (const limit of [1, 5, 11, 20, 1000]) {
    const before = () => {
      if (++done > limit) throw new Cancelled();
    };
    const running = new Sweep(plan, folder, madeUp(folder, { count: 9, before })).run(() => {});
    await running.then(
      () => assert.is(limit, 1000),
      (error) => assert.instance(error, Cancelled),
    );
    done = Math.min(done, limit);
  }
  const { folder: _w, ...expected } = listed(whole);
  const { folder: _f, ...found } = listed(folder);
  assert.equal(found, expected);
  // 9 to epoch 2, 3 of them to epoch 6, 1 to the end.
  assert.is(done, 9 * 2 + 3 * 4 + 6);
  const again = madeUp(folder, { count: 9 });
  await new Sweep(plan, folder, again).run(() => {});
  assert.equal(again.asked, []);
});

test('a failed trial is tried once more; failed again, it is reported and the others go on', async ({
  folder: root,
}) => {
  const folder = join(root, 'failing');
  const failures: Record<string, number> = { t1: 1, t2: 5 };
  const before = (trial: Trial, epoch: number) => {
    if (epoch === 3 && failures[trial.id] > 0) {
      failures[trial.id]--;
      throw new UserError(`no luck with ${trial.id}`);
    }
  };
  const executor = madeUp(folder, { count: 4, before });
  const told: string[] = [];
  await new Sweep(planOf(trials(4)), folder, executor).run(({ trial, status, error }) => {
    if (trial.id === 't2' && error && status !== 'running') told.push(status);
  });
  assert.equal(statuses(folder), ['done', 'done', 'failed', 'done']);
  assert.is(listed(folder).trials[1].error, undefined, 'the second attempt went well');
  assert.is(listed(folder).trials[2].error, 'no luck with t2');
  assert.equal(told, ['waiting', 'failed'], 'each failure is told once');
  assert.equal(
    executor.asked.filter((asked) => asked.startsWith('t2')),
    ['t2 to end', 't2 to end'],
  );
  // The same command again tries it again, and goes on where it failed.
  failures.t2 = 0;
  await new Sweep(planOf(trials(4)), folder, madeUp(folder, { count: 4, before })).run(() => {});
  assert.equal(statuses(folder), ['done', 'done', 'done', 'done']);
  assert.is(listed(folder).trials[2].error, undefined);
});

test('trials that share inputs wait for the first of them to have them, or to fail', async ({
  folder: root,
}) => {
  const folder = join(root, 'inputs');
  const list = trials(6, (i) => ({ inputs: i % 2 ? 'odd' : 'even' }));
  const begun: string[] = [];
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const before = async (trial: Trial, epoch: number) => {
    if (epoch > 1) return;
    begun.push(trial.id);
    if (trial.id === 't0') await held;
    if (trial.id === 't1') throw new UserError('no such weights');
  };
  const running = new Sweep(planOf(list), folder, madeUp(folder, { count: 6, before })).run(() => {});
  while (begun.filter((id) => id === 't1').length < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(!begun.includes('t2') && !begun.includes('t4'), 'waits for t0');
  release();
  await running;
  assert.equal(statuses(folder), ['done', 'failed', 'done', 'done', 'done', 'done']);
});

test('trials wait for the encoders that the sweep pretrains, and fail with them', async ({
  folder: root,
}) => {
  const folder = join(root, 'pretrained');
  const encoder = (i: number, after: string[]): Partial<Trial> => ({
    command: ['pretrain'],
    settings: { pretrain: `e${i}` },
    metric: '',
    dataset: '',
    after,
  });
  // t1 starts from t0; t3 uses t1, t4 uses t2, t5 uses neither.
  const changes = [
    encoder(0, []),
    encoder(1, ['t0']),
    encoder(2, []),
    { after: ['t1'] },
    { after: ['t2'] },
    {},
  ];
  const ended: string[] = [];
  const before = (trial: Trial, epoch: number) => {
    if (trial.id === 't2') throw new UserError('no such pairs');
    if (epoch === 1) for (const id of trial.after) assert.ok(ended.includes(id), `${trial.id} before ${id}`);
    if (epoch === EPOCHS) ended.push(trial.id);
  };
  const list = trials(6, (i) => changes[i]);
  const sweep = new Sweep(planOf(list), folder, madeUp(folder, { count: 6, before }));
  await sweep.run(() => {});
  assert.equal(statuses(folder), ['done', 'done', 'failed', 'done', 'failed', 'done']);
  assert.is(sweep.rows[4].error, 'pretraining e2 failed: no such pairs');
});

test('a folder is one sweep at a time; a lock left by a dead process is none', async ({ folder: root }) => {
  const folder = join(root, 'locked');
  let second: Promise<unknown> | undefined;
  const before = () => {
    // At its first epoch: by its last one the first sweep may be over before the second has looked.
    second ??= new Sweep(planOf(trials(1)), folder, madeUp(folder, { count: 1 }))
      .run(() => {})
      .catch((error) => error);
  };
  await new Sweep(planOf(trials(1)), folder, madeUp(folder, { count: 1, before })).run(() => {});
  assert.match(String(await second), 'is at work on this sweep');
  // Of a process that is no more, and of one that had this one's number before a restart.
  for (const left of ['999999999 1', `${process.pid} 1`, '']) {
    writeFileSync(join(folder, 'lock'), `${hostname()} ${left}`);
    await new Sweep(planOf(trials(1)), folder, madeUp(folder, { count: 1 })).run(() => {});
  }
});

test('a trial with a damaged file fails, with the file named; the others go on', async ({ folder: root }) => {
  const folder = join(root, 'damaged');
  const damages = [
    ['result.json', 'null', 'result.json: not a result: Invalid input'],
    ['result.json', '{}', 'result.json: not a result: epochs: '],
    ['result.json', '', 'result.json: not valid JSON'],
    ['metrics.jsonl', 'null\n', 'metrics.jsonl:1: not the record'],
  ];
  for (const [i, [file, text]] of damages.entries()) {
    mkdirSync(join(folder, `run-${i}`), { recursive: true });
    writeFileSync(join(folder, `run-${i}`, file), text);
  }
  const executor = madeUp(folder, { count: 5 });
  const sweep = new Sweep(planOf(trials(5)), folder, executor);
  await sweep.run(() => {});
  assert.equal(statuses(folder), ['failed', 'failed', 'failed', 'failed', 'done']);
  for (const [i, [, , error]] of damages.entries()) assert.match(String(sweep.rows[i].error), error);
  assert.equal(executor.asked, ['t4 to end']);
});

test('a line of metrics.jsonl that is half written is not there yet', async ({ folder: root }) => {
  const run = join(root, 'half');
  mkdirSync(run);
  writeFileSync(
    join(run, 'metrics.jsonl'),
    '{"epoch":1,"valid":{"ndcg@10":0.5},"trainSeconds":2,"evalSeconds":1}\n{"epoch":2,"val',
  );
  assert.equal(await readRunState(run, 'ndcg@10'), {
    begun: false,
    epochs: 1,
    best: 0.5,
    seconds: 3,
    result: undefined,
  });
  assert.is((await readRunState(join(root, 'nowhere'), 'ndcg@10')).best, undefined);
  const unreadable = join(root, 'unreadable');
  mkdirSync(join(unreadable, 'metrics.jsonl'), { recursive: true });
  const error = await readRunState(unreadable, 'ndcg@10').catch((reason) => reason);
  assert.match(String(error), 'metrics.jsonl: is a folder, a file was expected');
});

test.run();
