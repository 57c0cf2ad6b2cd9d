import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Cancelled, UserError } from '../../common/errors.ts';
import { Store, TakenOver } from '../../queue/store.ts';
import { keeping } from '../../sweeps/keeping.ts';
import { startStore } from '../queue/s3.ts';

type Server = Awaited<ReturnType<typeof startStore>>;
const test = suite<{ folder: string; server: Server }>('sweeps/keeping');

test.before(async (context) => {
  context.server = await startStore('bucket');
  Object.assign(process.env, context.server.env);
});
test.after(({ server }) => server.close());
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-keeping-'));
});
test.after.each(({ folder }) => rmSync(folder, { recursive: true }));

const never = new AbortController().signal;
const INTERVAL = 20;

/** Keeps a folder of the bucket while `work` goes on in it. */
const keep = (folder: string, key: string, work: (signal: AbortSignal) => Promise<void>, signal = never) =>
  keeping(folder, key, 's3://bucket', signal, work, INTERVAL);

const kept = ({ objects }: Server, name: string) => objects.get(name)?.toString();

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

test('what changes is pushed while the work goes on; a store that fails meanwhile stops nothing', async ({
  folder,
  server,
}) => {
  await keep(folder, 'failing', async (signal) => {
    writeFileSync(join(folder, 'metrics.jsonl'), 'one');
    await until(() => kept(server, 'failing/metrics.jsonl') === 'one');
    server.deny(true);
    writeFileSync(join(folder, 'metrics.jsonl'), 'two');
    await sleep(5 * INTERVAL);
    assert.not.ok(signal.aborted);
    server.deny(false);
  });
  assert.is(kept(server, 'failing/metrics.jsonl'), 'two');
});

test('a store that fails at the end is a failure', async ({ folder, server }) => {
  const error = await keep(folder, 'ending', async () => server.deny(true)).catch((reason) => reason);
  server.deny(false);
  assert.instance(error, UserError);
  assert.match(error.message, 's3://bucket/ending/owner: SignatureDoesNotMatch');
});

test('work that another takes over is stopped, and the other one left alone', async ({ folder, server }) => {
  let stopped = false;
  const error = await keep(folder, 'fought-for', async (signal) => {
    writeFileSync(join(folder, 'metrics.jsonl'), 'mine');
    await new Store('s3://bucket').claim('fought-for');
    await until(() => signal.aborted);
    stopped = true;
    throw new Cancelled();
  }).catch((reason) => reason);
  assert.ok(stopped);
  assert.instance(error, TakenOver);
  assert.is.not(kept(server, 'fought-for/metrics.jsonl'), 'mine');
});

test('work that is called off leaves what it has come to, for the next one to go on with', async ({
  folder,
}) => {
  const stop = new AbortController();
  const off = keep(
    folder,
    'called-off',
    async (signal) => {
      writeFileSync(join(folder, 'last.safetensors'), 'epoch 3');
      stop.abort();
      assert.ok(signal.aborted);
      throw new Cancelled();
    },
    stop.signal,
  );
  assert.instance(await off.catch((reason) => reason), Cancelled);
  const other = join(folder, 'other');
  await keep(other, 'called-off', async () => {
    assert.ok(existsSync(join(other, 'last.safetensors')));
  });
});

test.run();
