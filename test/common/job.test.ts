import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Cancelled, UsageError, UserError } from '../../common/errors.ts';
import { runJob } from '../../common/job.ts';
import type { ProgressEvent } from '../../common/progress.ts';

const jobs = new URL('./fixtures/jobs.ts', import.meta.url);

function watch(onEvent: (event: ProgressEvent) => void = () => {}) {
  return { onEvent, signal: new AbortController().signal };
}

async function failure(exportName: string): Promise<Error> {
  try {
    await runJob(jobs, exportName, {}, watch());
  } catch (error) {
    return error as Error;
  }
  throw new Error(`${exportName} did not fail`);
}

test('gives the result, and events in order', async () => {
  const events: ProgressEvent[] = [];
  assert.is(
    await runJob(
      jobs,
      'double',
      { value: 21 },
      watch((event) => events.push(event)),
    ),
    42,
  );
  assert.equal(events, [
    { kind: 'note', text: 'first' },
    { kind: 'begin', task: 'doubling', unit: 'numbers', total: 1 },
    { kind: 'end' },
    { kind: 'note', text: 'last' },
  ]);
});

test('revives user errors with their class, message and cause', async () => {
  const error = await failure('userError');
  assert.instance(error, UserError);
  assert.is(error.message, 'the file is broken');
  assert.is((error.cause as Error).message, 'line 3');
  const usage = await failure('usageError');
  assert.instance(usage, UsageError);
  assert.is((usage as UsageError).exitCode, 2);
});

test("a bug stays a plain error with the job's stack", async () => {
  const error = await failure('bug');
  assert.not.instance(error, UserError);
  assert.is(error.name, 'RangeError');
  assert.match(error.stack ?? '', /fixtures\/jobs\.ts/);
  assert.match((await failure('missing')).message, /no function 'missing'/);
  assert.match((await failure('notCloneable')).message, /could not be cloned/);
  assert.match((await failure('throwsOutside')).message, 'thrown outside the job');
});

test('says that a thread died', async () => {
  const error = await failure('exits');
  assert.instance(error, UserError);
  assert.match(error.message, 'exit code 7');
});

test('says that memory ran out', () => {
  const script = fileURLToPath(new URL('./fixtures/out-of-memory.ts', import.meta.url));
  const child = spawnSync(process.execPath, ['--max-old-space-size=64', '--import', 'tsx', script]);
  assert.match(String(child.stdout), 'ran out of JavaScript heap memory');
  assert.is(child.status, 0);
});

test('cancels a job that blocks its event loop, and lets it clean up', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rec-job-'));
  try {
    const temporary = join(folder, 'half');
    const controller = new AbortController();
    let seen = false;
    const onEvent = () => {
      seen = existsSync(temporary);
      controller.abort();
    };
    const error = await runJob(jobs, 'busy', { temporary }, { onEvent, signal: controller.signal }).catch(
      (e) => e,
    );
    assert.instance(error, Cancelled);
    assert.ok(seen);
    assert.not.ok(existsSync(temporary));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('ends a job that does not listen, after the grace period', async () => {
  const controller = new AbortController();
  const started = performance.now();
  const error = await runJob(
    jobs,
    'deaf',
    {},
    {
      onEvent: () => controller.abort(),
      signal: controller.signal,
      grace: 200,
    },
  ).catch((e) => e);
  assert.instance(error, Cancelled);
  assert.ok(performance.now() - started < 8000);
});

test('a job that was cancelled before it began does not begin', async () => {
  const controller = new AbortController();
  controller.abort();
  const events: ProgressEvent[] = [];
  const error = await runJob(
    jobs,
    'double',
    { value: 1 },
    { onEvent: (e) => events.push(e), signal: controller.signal },
  ).catch((e) => e);
  assert.instance(error, Cancelled);
  assert.equal(events, []);
});

test.run();
