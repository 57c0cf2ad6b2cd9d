import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { RunFolder } from '../../training/run-folder.ts';

const test = suite<{ path: string }>('run folder');
test.before.each((context) => {
  context.path = mkdtempSync(join(tmpdir(), 'rec-run-folder-'));
});
test.after.each(({ path }) => rmSync(path, { recursive: true }));

async function refused(folder: RunFolder): Promise<string> {
  const error = await folder.requireOwned().catch((reason: unknown) => reason);
  assert.instance(error, UserError);
  return (error as Error).message;
}

test('more than nine plugins are loaded in the order in which they were given', ({ path }) => {
  mkdirSync(join(path, 'plugins'));
  const names = Array.from({ length: 12 }, (_, i) => `${i + 1}-${i % 2 ? 'a' : 'b'}.mjs`);
  for (const name of names.toReversed()) writeFileSync(join(path, 'plugins', name), '');
  const { plugin } = new RunFolder(path).recipe();
  assert.equal(
    plugin.map((file) => basename(file)),
    names,
  );
});

test('a run goes into a folder that is new, empty, or of a run that was cut off as it began', async ({
  path,
}) => {
  const at = (name: string) => join(path, name);
  assert.ok(RunFolder.given(at('new')));
  assert.ok(RunFolder.given(path));
  mkdirSync(at('mine'));
  writeFileSync(join(at('mine'), 'data.csv'), '');
  assert.throws(() => RunFolder.given(at('mine')), /mine: there is something already; name a new folder/);
  const begun = new RunFolder(at('begun'));
  await begun.claim();
  writeFileSync(begun.file('dataset.json'), '{}');
  assert.ok(RunFolder.given(at('begun')));
  writeFileSync(begun.file('config.yaml'), '');
  assert.throws(() => RunFolder.given(at('begun')), /is a run already; go on with it with --resume/);
});

test('a full disk is said as such', async ({ path }) => {
  if (!existsSync('/dev/full')) return console.log('skipped: no /dev/full');
  symlinkSync('/dev/full', join(path, 'metrics.jsonl'));
  const record = { epoch: 1, loss: 1, valid: {}, trainSeconds: 1, evalSeconds: 1, learningRate: 1 };
  const error = await new RunFolder(path).addEpoch(record).catch((reason: unknown) => reason);
  assert.instance(error, UserError);
  assert.match((error as Error).message, 'metrics.jsonl: no space left on the device (ENOSPC)');
});

test('a run is taken over by another process, or finished; a disk that fails is neither', async ({
  path,
}) => {
  const [first, second] = [new RunFolder(path), new RunFolder(path)];
  await first.claim();
  await first.requireOwned();
  await second.claim();
  assert.match(await refused(first), 'another process has taken this run over');
  rmSync(join(path, 'owner'));
  assert.match(await refused(second), 'nobody: it is finished');
  mkdirSync(join(path, 'owner'));
  assert.match(await refused(second), 'owner: is a folder, a file was expected');
});

test.run();
