import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { type Ended, run, start } from '../cli/rec.ts';
import { epochsOf, outcomes, runsIn, workingOn, writeSweep } from '../sweeps/support.ts';
import { writeDataset } from '../training/support.ts';
import { hasRedis, TestRedis } from './redis.ts';

// Real workers, real processes, a real Redis, and faults at random.

const test = suite<{ folder: string; file: string; redis: TestRedis }>('queue');

test.before(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-queue-'));
  process.env.REC_CACHE = join(context.folder, 'cache');
  const data = writeDataset(join(context.folder, 'rings'));
  context.file = writeSweep(context.folder, data, { more: 'grid: { seed: [1, 2, 3] }' });
  context.redis = await TestRedis.start();
});
test.after(async ({ folder, redis }) => {
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
    await new Promise((resolve) => setTimeout(resolve, 500 + random.uniform() * 2500));
    if (over || kills === 4 || !workingOn(remote).length) continue;
    if (++kills === 2) {
      await redis.kill();
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
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
  const printed = [stdout, stderr, ...logs.flatMap((log) => [log.stdout, log.stderr])];
  for (const text of [...written, ...printed]) assert.not.ok(text.includes(TestRedis.password));
});

if (hasRedis('the queue')) test.run();
