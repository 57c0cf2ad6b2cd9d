import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Progress } from '../../common/progress.ts';
import { examineHub } from '../../doctor/hub.ts';
import type { Finding, Section } from '../../doctor/index.ts';
import { examineMachine } from '../../doctor/machine.ts';
import { chooseDevice } from '../../training/choose-device.ts';
import { run } from './rec.ts';

const test = suite<{ folder: string }>('doctor');
const KEYS = ['REC_CACHE', 'HF_HUB_OFFLINE', 'HF_ENDPOINT'];
const before = KEYS.map((key) => process.env[key]);

test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-doctor-'));
  Object.assign(process.env, { REC_CACHE: join(context.folder, 'cache'), HF_HUB_OFFLINE: '' });
});
test.after(({ folder }) => {
  KEYS.forEach((key, i) => {
    if (before[i] === undefined) delete process.env[key];
    else process.env[key] = before[i];
  });
  rmSync(folder, { recursive: true });
});

const findingsOf = (stdout: string): Map<string, Finding> => {
  const { sections } = JSON.parse(stdout) as { sections: Section[] };
  return new Map(sections.flatMap(({ findings }) => findings).map((finding) => [finding.what, finding]));
};

test('a machine that works: every device looked at, the processor measured, the hub asked', async ({
  folder,
}) => {
  const server = createServer((_, response) => response.end()).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  process.env.HF_ENDPOINT = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { code, stdout, stderr } = await run(['doctor', '--runs', join(folder, 'runs'), '--json', '--quiet']);
  delete process.env.HF_ENDPOINT;
  server.close();
  assert.is(code, 0, stderr);
  const findings = findingsOf(stdout);
  assert.is(findings.get('node')?.found, process.version);
  assert.match(findings.get('--device cpu')!.found, /: [1-9]\d* GFLOP\/s$/);
  assert.match(findings.get('hub')!.found, /127\.0\.0\.1:\d+ answers/);
  for (const name of ['webgpu', 'tensorflow']) {
    const { status, found, remedy } = findings.get(`--device ${name}`)!;
    if (status === 'ok') assert.match(found, /GFLOP\/s, as cpu to within \de-\d+$/);
    else assert.ok(remedy || found);
  }
});

test('a cache that cannot be written is a problem, with its remedy; an unreachable hub is not', async ({
  folder,
}) => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  Object.assign(process.env, { REC_CACHE: join(file, 'cache'), HF_ENDPOINT: 'http://127.0.0.1:9' });
  const findings = [...(await examineMachine(join(folder, 'runs'))), ...(await examineHub())];
  process.env.REC_CACHE = join(folder, 'cache');
  delete process.env.HF_ENDPOINT;
  const { cache, hub } = Object.fromEntries(findings.map((finding) => [finding.what, finding]));
  assert.is(cache.status, 'problem');
  assert.match(cache.remedy!, /REC_CACHE/);
  assert.is(hub.status, 'note');
  assert.match(hub.found, /not reached: .*(ECONNREFUSED|bad port)/);
});

test("device 'auto' says which it took and why", async () => {
  const { name, reason } = await chooseDevice('auto', {}, new Progress());
  if (name === 'cpu')
    assert.match(reason, /^auto: (there is no graphics card here|no graphics card works here)/);
  else assert.match(reason, /^auto: /);
});

test.run();
