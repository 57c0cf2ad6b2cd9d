import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Cancelled, UsageError, UserError } from '../../common/errors.ts';
import { Store } from '../../queue/store.ts';
import { credentials, startStore } from './s3.ts';

type Server = Awaited<ReturnType<typeof startStore>>;
const test = suite<{ folder: string; server: Server }>('store');

test.before(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-store-'));
  context.server = await startStore('bucket');
  Object.assign(process.env, context.server.env);
});
test.after(({ folder, server }) => {
  server.close();
  rmSync(folder, { recursive: true });
});

const never = new AbortController().signal;

const names = [
  'config.yaml',
  'result.json',
  'last.safetensors',
  'best.safetensors',
  'metrics.jsonl',
  'a b+c.txt',
  'plugins/1-mine.mjs',
];

/** A run folder with a text in every file. */
function runFolder(path: string, text: string): string {
  mkdirSync(join(path, 'plugins'), { recursive: true });
  for (const name of names) writeFileSync(join(path, name), `${name} ${text}`);
  writeFileSync(join(path, 'owner'), 'of this machine');
  writeFileSync(join(path, 'half.tmp'), 'half');
  return path;
}

/** Names of all files in a folder and below it. */
const filesOf = (folder: string) =>
  (readdirSync(folder, { recursive: true }) as string[]).filter((name) => name !== 'plugins').sort();

test('a folder comes back as it was, but for what belongs to one machine', async ({ folder, server }) => {
  const here = runFolder(join(folder, 'here'), 'one');
  const store = new Store('s3://bucket/some/prefix/');
  const keeper = await store.claim('sweep/run');
  await keeper.push(here);
  const there = join(folder, 'there');
  await store.pull('sweep/run', there);
  assert.equal(filesOf(there), names.toSorted());
  for (const name of names) assert.is(readFileSync(join(there, name), 'utf8'), `${name} one`);
  assert.ok([...server.objects.keys()].every((key) => key.startsWith('some/prefix/sweep/run/')));

  writeFileSync(join(here, 'metrics.jsonl'), 'more lines');
  server.requests.length = 0;
  await keeper.push(here);
  assert.equal(
    server.requests.filter((request) => request.startsWith('PUT')),
    ['PUT some/prefix/sweep/run/metrics.jsonl'],
    'only what has changed is sent',
  );
});

test('what others go by comes last: best model, checkpoint, configuration, result', async ({
  folder,
  server,
}) => {
  const keeper = await new Store('s3://bucket').claim('order');
  server.requests.length = 0;
  await keeper.push(runFolder(join(folder, 'order'), 'one'));
  const sent = server.requests
    .filter((request) => request.startsWith('PUT'))
    .map((request) => request.slice(10));
  assert.equal(sent.slice(3), ['best.safetensors', 'last.safetensors', 'config.yaml', 'result.json']);
});

test('a folder that another worker has taken over is left to it', async ({ folder, server }) => {
  const store = new Store('s3://bucket');
  const first = await store.claim('fought-for');
  const second = await store.claim('fought-for');
  const error = await first
    .push(runFolder(join(folder, 'first'), 'first'))
    .catch((reason: unknown) => reason);
  assert.instance(error, UserError);
  assert.match((error as Error).message, 'another worker has taken this over');
  await second.push(runFolder(join(folder, 'second'), 'second'));
  assert.is(server.objects.get('fought-for/config.yaml')!.toString(), 'config.yaml second');
});

test('a folder that is not there has nothing to push, one that cannot be read is a failure', async ({
  folder,
}) => {
  const keeper = await new Store('s3://bucket').claim('unreadable');
  await keeper.push(join(folder, 'nowhere'));
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const error = await keeper.push(file).catch((reason: unknown) => reason);
  assert.instance(error, UserError);
  assert.match((error as Error).message, `${file}: a part of this path is not a folder`);
});

test('nothing under a key is no failure', async ({ folder }) => {
  const path = join(folder, 'nothing');
  await new Store('s3://bucket').pull('nothing', path);
  assert.equal(readdirSync(path), []);
});

test('what a machine has of an earlier attempt gives way to what is kept, if something is', async ({
  folder,
}) => {
  const store = new Store('s3://bucket');
  const old = runFolder(join(folder, 'old'), 'old');
  await store.mirror('mirrored', old, never);
  assert.equal(filesOf(old), ['half.tmp', ...names, 'owner'].sort(), 'nothing is kept yet');
  const young = join(folder, 'young');
  mkdirSync(young);
  writeFileSync(join(young, 'metrics.jsonl'), 'young');
  await (await store.claim('mirrored')).push(young);
  await store.mirror('mirrored', old, never);
  assert.equal(filesOf(old), ['half.tmp', 'metrics.jsonl', 'owner']);
  assert.is(readFileSync(join(old, 'metrics.jsonl'), 'utf8'), 'young');
});

test('a store that is away for a while is waited for', async ({ folder, server }) => {
  const store = await startStore('bucket', { unavailable: 4 });
  process.env.AWS_ENDPOINT_URL = store.env.AWS_ENDPOINT_URL;
  const keeper = await new Store('s3://bucket').claim('waited-for');
  await keeper.push(runFolder(join(folder, 'waited-for'), 'one'));
  assert.is(store.objects.size, names.length + 1);
  store.close();
  process.env.AWS_ENDPOINT_URL = server.env.AWS_ENDPOINT_URL;
});

test('waiting for a store that is gone can be called off', async ({ folder, server }) => {
  process.env.AWS_ENDPOINT_URL = 'http://127.0.0.1:1';
  const stop = new AbortController();
  const waiting = new Store('s3://bucket')
    .mirror('x', join(folder, 'gone'), stop.signal)
    .catch((error) => error);
  setTimeout(() => stop.abort(), 100);
  assert.instance(await waiting, Cancelled);
  process.env.AWS_ENDPOINT_URL = server.env.AWS_ENDPOINT_URL;
});

test('what goes wrong is told with its place and without credentials', async ({ folder }) => {
  const messageOf = (work: () => Promise<unknown>) => work().then(String, (reason: Error) => reason.message);
  const other = () => new Store('s3://other-bucket/x').pull('key', folder);
  assert.match(await messageOf(other), 's3://other-bucket/x/key: NoSuchBucket');
  process.env.AWS_SECRET_ACCESS_KEY = 'a wrong secret';
  const refused = await messageOf(() => new Store('s3://bucket').pull('key', folder));
  process.env.AWS_SECRET_ACCESS_KEY = credentials.secret;
  assert.match(refused, 's3://bucket/key: SignatureDoesNotMatch');
  assert.not.match(refused, /secret|KEYID/);
  for (const url of ['http://bucket', 's3://', 's3://KEY:s3cret@bucket/x', 'bucket'])
    try {
      new Store(url);
      assert.unreachable(url);
    } catch (error) {
      assert.instance(error, UsageError);
      assert.not.match((error as Error).message, /s3cret/);
    }
});

test.run();
