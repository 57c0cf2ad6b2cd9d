import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { alone } from '../../sweeps/lock.ts';

const test = suite<{ folder: string }>('lock');
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-lock-'));
});
test.after.each(({ folder }) => rmSync(folder, { recursive: true }));

const dead = `${hostname()} 999999999 1`;

for (const [what, left] of [
  ['no lock', undefined],
  ['an empty lock, as of a machine that went down', ''],
  ['the lock of a dead process', dead],
] as const)
  test(`of several who find ${what} at once, one works`, async ({ folder }) => {
    for (let round = 0; round < 30; round++) {
      if (left !== undefined) writeFileSync(join(folder, 'lock'), left);
      let [entered, refused] = [0, 0];
      const attempt = async (i: number) => {
        await sleep(i % 3);
        return alone(folder, async () => {
          entered++;
          while (entered + refused < 8) await sleep(1);
        }).catch((error) => {
          refused++;
          assert.match(String(error), `process ${process.pid} is at work on this sweep`);
        });
      };
      await Promise.all(Array.from({ length: 8 }, (_, i) => attempt(i)));
      assert.is(entered, 1, `round ${round}`);
      assert.equal(readdirSync(folder), [], 'nothing stays behind');
    }
  });

test('a lock whose taker died as well is taken over', async ({ folder }) => {
  // As it is left by whoever dies between the two steps of taking a lock over.
  const right = `lock.${createHash('sha256').update(dead).digest('hex').slice(0, 8)}`;
  for (const name of ['lock', right]) writeFileSync(join(folder, name), dead);
  assert.is(await alone(folder, async () => 'done'), 'done');
  assert.equal(readdirSync(folder), []);
});

test("another machine's lock is left alone, and said how to remove", async ({ folder }) => {
  const path = join(folder, 'lock');
  writeFileSync(path, 'elsewhere 12 34 x');
  const error = await alone(folder, async () => assert.unreachable()).catch((reason: unknown) => reason);
  assert.instance(error, UserError);
  assert.match(
    (error as Error).message,
    `${folder}: locked by process 12 of the machine 'elsewhere', which cannot be asked from here`,
  );
  assert.match((error as Error).message, `remove ${path}`);
  assert.is(readFileSync(path, 'utf8'), 'elsewhere 12 34 x');
  assert.equal(readdirSync(folder), ['lock']);
});

test.run();
