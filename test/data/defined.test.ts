import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cacheFolder } from '../../common/files.ts';
import { Progress } from '../../common/progress.ts';
import { type DatasetDefinition, writeDefined } from '../../data/defined.ts';
import { skipped } from '../skip.ts';
import { inFolder } from './helpers.ts';

/** Each of some users takes ten items. */
const shop = (users: number): DatasetDefinition => ({
  name: 'shop',
  summary: '',
  *interactions() {
    for (let i = 0; i < 10 * users; i++) yield { user: `u${i % users}`, item: `i${i % 97}`, time: i };
  },
});
const write = (definition: DatasetDefinition) => writeDefined(definition, new Progress());

/** What is in the cache's folder of such datasets, and which of its files are open. */
const left = () => readdirSync(cacheFolder('plugin-datasets'));
const open = () =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('plugin-datasets') ? [fd] : [];
    } catch {
      return [];
    }
  });

test('several at once: one folder for equal rows, another for others', () =>
  inFolder(async () => {
    const users = [9, 9, 4000, 9, 4000];
    const folders = await Promise.all(users.map((count) => write(shop(count))));
    assert.is(new Set(folders).size, 2);
    for (const [i, folder] of folders.entries()) {
      assert.equal(readdirSync(folder), ['shop.inter']);
      const lines = readFileSync(join(folder, 'shop.inter'), 'utf8').trimEnd().split('\n');
      assert.is(lines.length, 1 + 10 * users[i]);
      assert.equal(readdirSync(join(folder, '..')), ['shop'], 'no temporary folder stays');
    }
    assert.is(left().length, 2);
    assert.is(await write(shop(9)), folders[0]);
  }));

test('rows that end with an error leave nothing behind', () =>
  inFolder(async () => {
    const broken = {
      ...shop(1),
      *interactions() {
        yield { user: 'u', item: 'i', time: 1 };
        throw new Error('the database is gone');
      },
    };
    const error = await write(broken).catch((reason: Error) => reason.message);
    assert.is(error, 'the database is gone');
    assert.equal(left(), []);
    if (process.platform === 'linux') assert.equal(open(), []);
  }));

test('a file that finds no room is a failure, and leaves nothing behind', () =>
  inFolder(async () => {
    const limit = (bytes: string) => execFileSync('prlimit', [`--pid=${process.pid}`, `--fsize=${bytes}:`]);
    try {
      limit('100000');
    } catch {
      return skipped('limits of file sizes need the command prlimit');
    }
    const error = await write(shop(20_000))
      .catch((reason: NodeJS.ErrnoException) => reason.code)
      .finally(() => limit('unlimited'));
    assert.is(error, 'EFBIG');
    assert.equal(left(), []);
  }));

test.run();
