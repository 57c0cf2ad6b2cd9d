import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError, unknownName } from '../../common/errors.ts';
import {
  ensureWritableFolder,
  explainFileError,
  hashJson,
  replaceAtomically,
  writeFileAtomic,
} from '../../common/files.ts';
import { Progress } from '../../common/progress.ts';
import { runExperiment } from '../../training/index.ts';

const test = suite<{ folder: string }>('files');
test.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'rec-files-'));
});
test.after.each(({ folder }) => rm(folder, { recursive: true, force: true }));

async function failure(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

/** Runs as a user whom permissions bind: root may write everywhere. */
async function unprivileged<T>(work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return work();
  process.seteuid?.(65534);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}

test('a read-only folder is refused with its name, and left as it was', async ({ folder }) => {
  const runs = join(folder, 'runs');
  await mkdir(runs);
  await chmod(folder, 0o755);
  await chmod(runs, 0o555);
  const error = await unprivileged(() => failure(ensureWritableFolder(runs)));
  assert.instance(error, UserError);
  assert.match(error.message, `${runs}: permission denied (EACCES)`);
  assert.equal(await readdir(runs), []);
});

test('a run whose runs folder cannot be written fails before any work begins', async ({ folder }) => {
  const file = join(folder, 'file');
  await writeFile(file, '');
  const options = { model: 'sasrec', runs: join(file, 'runs'), set: [] };
  const begun: string[] = [];
  const progress = new Progress((event) => event.kind === 'begin' && begun.push(event.task));
  const error = await failure(runExperiment(options, progress));
  assert.instance(error, UserError);
  assert.match(error.message, `${join(file, 'runs')}: a part of this path is not a folder`);
  assert.equal(begun, []);
});

test('a failed replacement leaves the old file and nothing else', async ({ folder }) => {
  const path = join(folder, 'result.json');
  await writeFileAtomic(path, 'old');
  const error = await failure(
    replaceAtomically(path, async (temporary) => {
      await writeFile(temporary, 'half');
      throw new Error('cut');
    }),
  );
  assert.is(error.message, 'cut');
  assert.is(await readFile(path, 'utf8'), 'old');
  assert.equal(await readdir(folder), ['result.json']);
});

test('equal settings have equal hashes, whatever the order of their keys', () => {
  assert.is(hashJson({ a: 1, b: { c: [1, 2], d: 2 } }), hashJson({ b: { d: 2, c: [1, 2] }, a: 1 }));
  assert.is.not(hashJson({ a: [1, 2] }), hashJson({ a: [2, 1] }));
});

test('a folder that cannot be made, and names with commas, are said so that one can act', () => {
  const error = Object.assign(new Error('ENOENT'), { code: 'ENOENT', syscall: 'mkdir' });
  assert.match(
    String(explainFileError(error, '/ro/x')),
    '/ro/x: cannot be made; is the file system read-only?',
  );
  assert.match(unknownName('baseline', 'zzz', ['b, c', 'a']).message, "Must be one of ['a', 'b, c'].");
});

test.run();
