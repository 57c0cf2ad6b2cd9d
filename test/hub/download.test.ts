import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Cancelled } from '../../common/errors.ts';
import { Progress, type ProgressEvent } from '../../common/progress.ts';
import { seeded } from '../../common/random.ts';
import { hubAccess } from '../../hub/access.ts';
import { cachedFile, download, type HubNeed } from '../../hub/index.ts';
import { gitHash, type Seen, StandIn, send, sha256 } from './server.ts';

const test = suite<{ hub: StandIn; folder: string }>('hub downloads');
const environment = { ...process.env };
const commit = 'c0ffee'.padEnd(40, '0');
const small = Buffer.from('a,b\n1,2\n');
const random = seeded('hub');
const large = Buffer.from(Array.from({ length: 300_000 }, () => random.below(256)));

test.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'rec-hub-'));
  context.hub = await new StandIn().open();
  context.hub.repositories['datasets/org/data'] = {
    commit,
    files: { 'small.csv': small, 'raw/large one.jsonl': large },
  };
  for (const name of Object.keys(process.env))
    if (/^HF_|^HUGGING|^HTTPS?_PROXY/i.test(name)) delete process.env[name];
  process.env.HF_HOME = context.folder;
  process.env.HF_ENDPOINT = context.hub.endpoint;
});
test.after.each(async ({ hub, folder }) => {
  process.env = { ...environment };
  await hub.close();
  await rm(folder, { recursive: true });
});

const need = (more: Partial<HubNeed> = {}): HubNeed => ({
  by: 'the test',
  repo: { type: 'dataset', name: 'org/data', revision: 'main' },
  files: ['small.csv', 'raw/large one.jsonl'],
  advice: 'PUT THEM THERE',
  ...more,
});
const largeOnly = { files: ['raw/large one.jsonl'] };
const access = () => ({ ...hubAccess(), pause: 0.01 });

interface Outcome {
  events: ProgressEvent[];
  error?: Error;
  files: { file: string; path: string; here: boolean; bytes: number }[];
}

async function attempt(needs = [need()], cancelled = () => false, dryRun = false): Promise<Outcome> {
  const events: ProgressEvent[] = [];
  const progress = new Progress((event) => events.push(event), cancelled);
  try {
    return { events, files: await download(needs, progress, { dryRun, access }) };
  } catch (error) {
    return { events, error: error as Error, files: [] };
  }
}

/** The message of a download that fails as a user may understand it. */
async function failure(needs?: HubNeed[]): Promise<string> {
  const { error } = await attempt(needs);
  assert.match(error?.name ?? 'no error', /^(UserError|UsageError)$/);
  return error?.message ?? '';
}

const repository = (folder: string) => join(folder, 'hub', 'datasets--org--data');
const blob = (folder: string) => join(repository(folder), 'blobs', sha256(large));
const isBody = ({ on }: Seen) => on === 'store';

/** Ends the connection after so many bytes of a file. */
function cutAfter(bytes: number, response: ServerResponse, content: Buffer, from: number): true {
  const headers = {
    'content-length': content.length - from,
    'content-range': `bytes ${from}-${content.length - 1}/${content.length}`,
  };
  response.writeHead(from ? 206 : 200, headers);
  response.write(content.subarray(from, from + bytes), () => setTimeout(() => response.destroy(), 20));
  return true;
}
const offset = ({ range }: Seen) => Number(/\d+/.exec(range ?? '0')?.[0]);

test('files come into the cache as Python lays it out', async ({ hub, folder }) => {
  const { files, events, error } = await attempt();
  assert.is(error, undefined);
  assert.equal(readFileSync(files[0].path), small);
  assert.equal(readFileSync(files[1].path), large);
  assert.equal(
    files.map(({ here, bytes }) => [here, bytes]),
    [
      [false, small.length],
      [false, large.length],
    ],
  );
  const link = join(repository(folder), 'snapshots', commit, 'raw', 'large one.jsonl');
  assert.is(files[1].path, link);
  assert.is(readlinkSync(link), join('..', '..', '..', 'blobs', sha256(large)));
  assert.equal(readdirSync(join(repository(folder), 'blobs')).sort(), [gitHash(small), sha256(large)].sort());
  assert.is(readFileSync(join(repository(folder), 'refs', 'main'), 'utf8'), commit);
  assert.is(await cachedFile(need().repo, 'raw/large one.jsonl'), link);
  assert.is(await cachedFile(need().repo, 'other'), undefined);
  const said = events.find(({ kind }) => kind === 'note') as { text: string };
  assert.match(
    said.text,
    /^the test: 2 files, 300 kB, to be downloaded to .*hub\n.*8 bytes {2}org\/data\/small.csv/,
  );
  const bar = events.find((event) => event.kind === 'begin' && event.task === 'download large one.jsonl');
  assert.equal(bar, { kind: 'begin', task: 'download large one.jsonl', unit: 'bytes', total: large.length });
  assert.is(hub.downloads().length, 2);
});

test('what is there is not fetched again', async ({ hub }) => {
  await attempt();
  const before = hub.seen.length;
  const { files, events } = await attempt();
  assert.ok(files.every(({ here }) => here));
  assert.equal(hub.downloads(before), []);
  assert.not.ok(events.some(({ kind }) => kind === 'note'));
  hub.repositories['datasets/org/data'].commit = 'd'.repeat(40);
  const moved = await attempt();
  assert.equal(hub.downloads(before), [], 'the same bytes under a new commit are linked');
  assert.equal(readFileSync(moved.files[1].path), large);
});

test('a dry run says what and how large, and fetches nothing', async ({ hub }) => {
  const { files, events } = await attempt([need()], undefined, true);
  assert.equal(
    files.map(({ here }) => here),
    [false, false],
  );
  assert.ok(events.some(({ kind }) => kind === 'note'));
  assert.equal(hub.downloads(), []);
});

test('the token goes to the hub and not to the machine that stores files', async ({ hub, folder }) => {
  hub.repositories['datasets/org/data'].token = 'hf_secret';
  assert.match(
    await failure(),
    /dataset org\/data: .*no such repository, or it is private: then set HF_TOKEN/,
  );
  process.env.HF_TOKEN = 'hf_wrong';
  assert.match(await failure(), /does not show it to this token/);
  process.env.HF_TOKEN = 'hf_secret';
  const before = hub.seen.length;
  assert.is((await attempt()).error, undefined);
  assert.ok(
    hub.seen.slice(before).every(({ on, token }) => token === (on === 'hub' ? 'hf_secret' : undefined)),
  );
  delete process.env.HF_TOKEN;
  await writeFile(join(folder, 'token'), 'hf_secret\n');
  assert.is((await attempt()).error, undefined);
});

test('connections that are cut: the download goes on at the byte where it ended', async ({ hub }) => {
  let cuts = 0;
  hub.faults.push((seen, response, content) =>
    isBody(seen) && content && cuts++ < 9 ? cutAfter(20_000, response, content, offset(seen)) : false,
  );
  const { files, error } = await attempt([need(largeOnly)]);
  assert.is(error, undefined);
  assert.equal(readFileSync(files[0].path), large);
  const bodies = hub.seen.filter(isBody);
  assert.equal(
    bodies.map(offset),
    Array.from({ length: 10 }, (_, i) => 20_000 * i),
  );
});

test('a connection that never brings a byte is given up, with what to do instead', async ({
  hub,
  folder,
}) => {
  hub.faults.push((seen, response) => isBody(seen) && Boolean(response.destroy()));
  const message = await failure([need(largeOnly)]);
  assert.match(message, new RegExp(`^${hub.endpoint} cannot be reached.*kept.\nPUT THEM THERE$`, 's'));
  assert.is(hub.seen.filter(isBody).length, 6);
  assert.not.ok(existsSync(blob(folder)));
});

test('a download that was killed goes on; a damaged beginning is noticed', async ({ hub, folder }) => {
  const begun = `${blob(folder)}.incomplete`;
  await mkdir(dirname(begun), { recursive: true });
  await writeFile(begun, large.subarray(0, 123_456));
  const resumed = await attempt([need(largeOnly)]);
  assert.equal(readFileSync(resumed.files[0].path), large);
  assert.equal(hub.seen.filter(isBody).map(offset), [123_456]);
  const bar = resumed.events.find((event) => event.kind === 'begin' && event.task.startsWith('download'));
  assert.is((bar as { done: number }).done, 123_456);

  await rm(repository(folder), { recursive: true });
  await mkdir(dirname(begun), { recursive: true });
  await writeFile(begun, Buffer.alloc(5000));
  const repaired = await attempt([need(largeOnly)]);
  assert.equal(readFileSync(repaired.files[0].path), large);
  assert.ok(
    repaired.events.some((event) => event.kind === 'warning' && /hash .* fetched again/.test(event.text)),
  );

  await rm(repository(folder), { recursive: true });
  await mkdir(dirname(begun), { recursive: true });
  await writeFile(begun, Buffer.alloc(large.length + 1));
  assert.equal(readFileSync((await attempt([need(largeOnly)])).files[0].path), large);
});

test('wrong bytes are never kept', async ({ hub, folder }) => {
  const wrong = Buffer.from(large);
  wrong[777] ^= 1;
  let times = 0;
  const answers = [wrong];
  hub.faults.push((seen, response) => {
    const content = isBody(seen) && answers[times++ % answers.length];
    if (!content) return false;
    send(seen, response, content);
    return true;
  });
  const kept = () => readdirSync(join(repository(folder), 'blobs'));
  assert.match(
    await failure([need(largeOnly)]),
    /large one.jsonl: the bytes have the hash .*, twice in a row; nothing was kept/,
  );
  assert.equal([times, kept()], [2, []]);
  answers[0] = large.subarray(0, 1000);
  assert.match(await failure([need(largeOnly)]), /it has 1000 bytes, not 300000, twice in a row/);
  assert.equal(kept(), []);
  answers[0] = Buffer.concat([large, small]);
  assert.match(await failure([need(largeOnly)]), /it has 300008 bytes, not 300000/);
  assert.equal(kept(), []);
  assert.is(await cachedFile(need().repo, 'raw/large one.jsonl'), undefined);
  times = 0;
  answers.splice(0, 1, wrong, large);
  assert.is((await attempt([need(largeOnly)])).error, undefined);
});

test('a server without ranges starts over', async ({ hub, folder }) => {
  const begun = `${blob(folder)}.incomplete`;
  await mkdir(dirname(begun), { recursive: true });
  await writeFile(begun, large.subarray(0, 1000));
  hub.faults.push((seen, response) => {
    if (isBody(seen)) send({ ...seen, range: undefined }, response, large);
    return isBody(seen);
  });
  assert.equal(readFileSync((await attempt([need(largeOnly)])).files[0].path), large);
  await rm(repository(folder), { recursive: true });
  hub.faults.splice(0, 1, (seen, response) => isBody(seen) && Boolean(response.writeHead(200).end('short')));
  assert.match(await failure([need(largeOnly)]), /the hub sent 5 of 300000 bytes/);
});

test('refusals say what is to be done', async ({ hub }) => {
  const answer = (status: number, headers: Record<string, string>) => {
    hub.faults.splice(0, 1, (_, response) => Boolean(response.writeHead(status, headers).end()));
  };
  answer(403, { 'x-error-code': 'GatedRepo' });
  assert.match(
    await failure(),
    `its owners ask for consent: give it on ${hub.endpoint}/datasets/org/data, then set HF_TOKEN`,
  );
  answer(403, { 'x-error-message': 'blocked here' });
  assert.match(await failure(), /the hub refuses it \(403: blocked here\)/);
  process.env.HF_TOKEN = 'hf_old';
  answer(401, {});
  assert.match(await failure(), /does not accept the token/);
  hub.faults.length = 0;
  delete process.env.HF_TOKEN;
  assert.match(
    await failure([need({ files: ['no.csv', 'small.csv', 'x/*.csv'] })]),
    'has no file no.csv, x/*.csv',
  );
  const unknown = { type: 'dataset', name: 'org/nothing', revision: 'main' } as const;
  assert.match(
    await failure([need({ repo: unknown })]),
    /dataset org\/nothing: the hub knows no such repository/,
  );
  const branch = { ...need().repo, revision: 'v2' };
  assert.match(await failure([need({ repo: branch })]), /no branch, tag or commit 'v2'/);
  assert.is(hub.seen.length, 8, 'nothing of this is tried again');
});

test('too many requests: the pause that the hub asks for is kept', async ({ hub }) => {
  let left = 2;
  const asked = ['1', new Date(Date.now() + 1500).toUTCString()];
  hub.faults.push((seen, response) => {
    if (!isBody(seen) || left === 0) return false;
    response.writeHead(429, { 'retry-after': asked[--left] }).end();
    return true;
  });
  const started = performance.now();
  const { error, events } = await attempt([need(largeOnly)]);
  assert.is(error, undefined);
  assert.ok(performance.now() - started >= 1000);
  assert.ok(
    events.some((event) => event.kind === 'note' && event.text === 'the hub asks for a pause of 1 s'),
  );
  hub.faults.splice(0, 1, (_, response) => Boolean(response.writeHead(429, { 'retry-after': '7200' }).end()));
  assert.match(await failure(), /too many requests; set HF_TOKEN for wider limits/);
});

test("the server's own faults pass, or are named", async ({ hub }) => {
  let left = 3;
  hub.faults.push((_, response) => left-- > 0 && Boolean(response.writeHead(503).end()));
  assert.is((await attempt()).error, undefined);
  left = 99;
  assert.match(await failure(), /the hub refuses it \(503: Service Unavailable\)/);
  hub.faults.splice(0, 1, (_, response) =>
    Boolean(response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')),
  );
  assert.match(await failure(), /does not answer as the hub does \(text\/html\)/);
});

test('a slow body is waited for, a silent one is not', async ({ hub }) => {
  process.env.HF_HUB_DOWNLOAD_TIMEOUT = '0.4';
  let silent = 2;
  hub.faults.push((seen, response, content) => {
    if (!isBody(seen) || !content) return false;
    const from = offset(seen);
    response.writeHead(from ? 206 : 200, { 'content-length': content.length - from });
    let sent = from;
    const timer = setInterval(() => {
      response.write(content.subarray(sent, sent + 30_000));
      sent += 30_000;
      if (silent && sent - from >= 60_000) {
        silent--;
        clearInterval(timer);
      } else if (sent >= content.length) {
        clearInterval(timer);
        response.end();
      }
    }, 100);
    return true;
  });
  const { files, error } = await attempt([need(largeOnly)]);
  assert.is(error, undefined);
  assert.equal(readFileSync(files[0].path), large);
  assert.equal(hub.seen.filter(isBody).map(offset), [0, 60_000, 120_000]);
});

test('an interruption ends it at once, and keeps what is there', async ({ hub, folder }) => {
  let stop = false;
  hub.faults.push((seen, response, content) => {
    if (!isBody(seen) || !content || seen.range) return false;
    response.writeHead(200, { 'content-length': content.length });
    response.write(content.subarray(0, 50_000), () => setTimeout(() => (stop = true), 50));
    return true;
  });
  const { error } = await attempt([need(largeOnly)], () => stop);
  assert.instance(error, Cancelled);
  assert.is(readFileSync(`${blob(folder)}.incomplete`).length, 50_000);
  assert.not.ok(existsSync(`${blob(folder)}.incomplete.lock`));
  stop = false;
  assert.equal(readFileSync((await attempt([need(largeOnly)])).files[0].path), large);
});

test('of several at once one downloads', async ({ hub }) => {
  const all = await Promise.all(Array.from({ length: 4 }, () => attempt([need(largeOnly)])));
  for (const { error, files } of all) {
    assert.is(error, undefined);
    assert.equal(readFileSync(files[0].path), large);
  }
  assert.is(hub.seen.filter(isBody).length, 1);
});

test('patterns, and files of which some may be missing', async ({ hub }) => {
  const files = {
    'b/X.train.csv': small,
    'b/X.test.csv': small,
    'b/Y.test.csv': small,
    'b/c/X.z.csv': small,
    'X.csv': small,
  };
  hub.repositories['models/org/model'] = { commit, files };
  const repo = { type: 'model', name: 'org/model', revision: 'main' } as const;
  const names = async (more: Partial<HubNeed>) =>
    (await attempt([need({ repo, ...more })])).files.map(({ file }) => file);
  assert.equal(await names({ files: ['b/X.*.csv'] }), ['b/X.train.csv', 'b/X.test.csv']);
  assert.equal(await names({ files: ['*.csv'] }), ['X.csv']);
  const choose = (there: readonly string[]) => there.filter((file) => file !== 'X.csv');
  assert.equal(await names({ files: ['b/Y.test.csv', 'X.csv', 'no'], choose }), ['b/Y.test.csv']);
});

test('offline, and addresses that lead nowhere', async ({ hub }) => {
  process.env.HF_HUB_OFFLINE = '1';
  assert.match(await failure(), /^HF_HUB_OFFLINE is set: nothing is downloaded.\nPUT THEM THERE$/);
  delete process.env.HF_HUB_OFFLINE;
  assert.is(hub.seen.length, 0);
  process.env.HF_ENDPOINT = 'http://127.0.0.1:9';
  assert.match(await failure(), /^http:\/\/127.0.0.1:9 cannot be reached \(.+\).*\nPUT THEM THERE$/s);
  process.env.HF_ENDPOINT = 'huggingface.co';
  assert.match(
    await failure(),
    "HF_ENDPOINT must be an address like https://huggingface.co, got 'huggingface.co'",
  );
  process.env.HF_ENDPOINT = hub.endpoint;
  process.env.HF_HUB_DOWNLOAD_TIMEOUT = 'long';
  assert.match(await failure(), 'HF_HUB_DOWNLOAD_TIMEOUT must be a number of seconds');
  assert.equal(await download([undefined], new Progress()), []);
});

test('a cache that cannot be written is named', async ({ folder }) => {
  await writeFile(join(folder, 'file'), '');
  process.env.HF_HOME = join(folder, 'file');
  assert.match(await failure(), join(folder, 'file', 'hub'));
});

test('a description that would write elsewhere is refused', async ({ hub }) => {
  for (const twist of [{ path: '../../evil' }, { oid: '../evil', lfs: undefined }]) {
    hub.faults.splice(0, 1, (seen, response) => {
      if (!seen.path.includes('/paths-info/')) return false;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify([{ type: 'file', path: 'small.csv', size: 8, oid: gitHash(small), ...twist }]),
      );
      return true;
    });
    assert.match(await failure(), /cannot be used/);
  }
});

test.run();
