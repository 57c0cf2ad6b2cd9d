import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { type Ended, run, start } from '../cli/rec.ts';
import { epochsOf, outcomes, runsIn, until, workingOn, writeSweep } from '../sweeps/support.ts';
import { writeDataset } from '../training/support.ts';
import { hasRedis, TestRedis } from './redis.ts';
import { startStore } from './s3.ts';

// Real workers, real processes, a real Redis, and faults at random.

const test = suite<{ folder: string; data: string; file: string; redis: TestRedis }>('queue');

const closing: (() => void)[] = [];

test.before(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-queue-'));
  process.env.REC_CACHE = join(context.folder, 'cache');
  context.data = writeDataset(join(context.folder, 'rings'));
  context.file = writeSweep(context.folder, context.data, { more: 'grid: { seed: [1, 2, 3] }' });
  context.redis = await TestRedis.start();
});
test.after(async ({ folder, redis }) => {
  for (const close of closing) close();
  await redis.kill();
  rmSync(folder, { recursive: true });
});

test('three workers killed at random, and a Redis that forgets: every trial is done once, as by a local sweep', async ({
  folder,
  file,
  redis,
}) => {
  const random = seeded('kill', Date.now());
  const local = run(['sweep', file, '--folder', join(folder, 'local'), '--quiet', '--threads', '1']);
  const remote = join(folder, 'remote');
  const startWorker = () => start(['worker', '--queue', redis.url, '--lease', '2', '--threads', '1']);
  const workers = [startWorker(), startWorker(), startWorker()];
  const said: Promise<Ended>[] = workers.map(({ ended }) => ended);
  const sweep = start(['sweep', file, '--folder', remote, '--queue', redis.url]);
  let over = false;
  void sweep.ended.then(() => (over = true));
  let kills = 0;
  while (!over) {
    await new Promise((resolve) => setTimeout(resolve, 200 + random.uniform() * 1000));
    if (over || kills === 4 || !workingOn(remote).length) continue;
    if (++kills === 1) {
      await redis.kill();
      // Long enough for a first attempt to come back in vain.
      await new Promise((resolve) => setTimeout(resolve, 2000));
      await redis.restart();
    }
    const victim = random.below(workers.length);
    workers[victim].child.kill('SIGKILL');
    workers[victim] = startWorker();
    said.push(workers[victim].ended);
  }
  const { code, stdout, stderr } = await sweep.ended;
  for (const { child } of workers) child.kill('SIGINT');
  const logs = await Promise.all(said);
  assert.is(code, 0, stderr);
  assert.is((await local).code, 0);
  assert.ok(kills >= 1, 'it was over before anything was killed');
  assert.equal(workingOn(remote), []);

  assert.equal(outcomes(remote), outcomes(join(folder, 'local')));
  for (const path of runsIn(remote)) {
    const epochs = epochsOf(path);
    assert.equal(
      epochs,
      epochs.map((_, i) => i + 1),
      'an epoch is missing, or there twice',
    );
  }
  assert.match(stderr, /redis:\/\/127\.0\.0\.1:\d+ is out of reach .*: waiting for it/);
  assert.match(stderr, /redis:\/\/127\.0\.0\.1:\d+ is back/);
  // Credentials are nowhere.
  const written = readdirSync(remote, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath ?? entry.path, entry.name), 'latin1'));
  const printed = [stdout, stderr, ...logs.flatMap((log) => [log.stdout, log.stderr])];
  for (const text of [...written, ...printed]) assert.not.ok(text.includes(TestRedis.password));
});

test('without a shared folder run folders go through a store: another machine takes a run up where the first left it', async ({
  folder,
  data,
  redis,
}) => {
  const store = await startStore('bucket');
  closing.push(store.close);
  const file = writeSweep(folder, data, { epochs: 60, more: 'grid: { seed: [7] }' });
  const at = join(folder, 'stored');
  const remote = ['--queue', redis.url, '--artifacts', 's3://bucket/sweeps'];
  const sweep = start(['sweep', file, '--folder', at, ...remote], store.env);
  const machine = (name: string) =>
    start(
      ['worker', '--queue', redis.url, '--lease', '2', '--threads', '1', '--runs', join(folder, name)],
      store.env,
    );
  const first = machine('first');
  const firstRuns = () => runsIn(join(folder, 'first', 'stored'));
  await until(() => first.child.exitCode !== null || firstRuns().some((run) => epochsOf(run).length > 2));
  first.child.kill('SIGINT');
  const { code, stderr } = await first.ended;
  assert.is(code, 0, stderr);
  const done = epochsOf(firstRuns()[0]).length;
  assert.ok(done < 60, 'it was over too soon');
  const second = machine('second');
  const { code: swept, stderr: said } = await sweep.ended;
  second.child.kill('SIGINT');
  assert.is(swept, 0, said);
  await second.ended;
  const [run] = runsIn(join(folder, 'second', 'stored'));
  const [, epoch] = /resumed at epoch (\d+)/.exec(readFileSync(join(run, 'log.txt'), 'utf8')) ?? [];
  assert.ok(Number(epoch) >= done, `resumed at epoch ${epoch}, where ${done} were done`);
  const [{ epochs, status }] = outcomes(at);
  assert.is(status, 'done');
  assert.equal(
    epochs,
    Array.from({ length: 60 }, (_, i) => i + 1),
  );
});

/** An encoder in a file: a vector of each text's bytes, slowly. */
const plugin = `
import { defineEncoder, z } from 'rec';
export default defineEncoder({
  name: 'bytes',
  summary: 'for the test',
  config: z.strictObject({}),
  async open() {
    return {
      dims: 4,
      fingerprint: 'bytes 1',
      rowsDependOn: 'text',
      async embed(texts, onRows) {
        let first = 0;
        for (const text of texts) {
          const sums = [1, 0, 0, 0];
          for (const [i, byte] of Buffer.from(text).entries()) sums[i % 4] += byte / (i + 1);
          await new Promise((resolve) => setTimeout(resolve, 1));
          await onRows(first++, Float32Array.from(sums));
        }
      },
      async close() {},
    };
  },
});
`;

test('shards of an embedding are made by workers, one of which dies; they come back through a store', async ({
  folder,
  redis,
}) => {
  const data = writeDataset(join(folder, 'many'), { users: 1000, items: 2100 });
  const store = await startStore('bucket');
  closing.push(store.close);
  const cache = (name: string) => ({ ...store.env, REC_CACHE: join(folder, `cache-${name}`) });
  writeFileSync(join(folder, 'bytes.ts'), plugin);
  const args = (name: string) => [
    ...['encode', '--dataset', data, '--encoder', 'bytes', '--plugin', join(folder, 'bytes.ts')],
    ...['--out', join(folder, `${name}.feature`), '--quiet'],
  ];
  const startWorker = (name: string) =>
    start(['worker', '--queue', redis.url, '--lease', '2', '--device', 'cpu'], cache(name));
  const victim = startWorker('victim');
  const encode = start(
    [...args('remote'), '--queue', redis.url, '--artifacts', 's3://bucket'],
    cache('asking'),
  );
  let log = '';
  victim.child.stderr!.on('data', (text) => (log += text));
  await until(
    () => log.includes('begun') || victim.child.exitCode !== null || encode.child.exitCode !== null,
  );
  victim.child.kill('SIGKILL');
  const heir = startWorker('heir');
  const { code, stderr } = await encode.ended;
  heir.child.kill('SIGINT');
  assert.is(code, 0, stderr);
  const { stderr: said } = await heir.ended;
  assert.match(said, 'shards bytes 0-3: done');
  assert.match(said, 'shards bytes 4-4: done');
  const alone = await run(args('alone'), cache('alone'));
  assert.is(alone.code, 0, alone.stderr);
  const bytes = (name: string) => readFileSync(join(folder, `${name}.feature`)).toString('base64');
  assert.is(bytes('remote'), bytes('alone'));
});

if (hasRedis('the queue')) test.run();
