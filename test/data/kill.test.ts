import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { rm, symlink, utimes } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { checkPrepared, readPrepared } from '../../data/cache.ts';
import { inFolder, load, spell, writeFiles } from './helpers.ts';

/** One file of plain JavaScript, as 50 processes that each load every module would take minutes. */
async function bundledChild(folder: string): Promise<string> {
  // esbuild is what tsx runs on.
  const { build } = createRequire(createRequire(import.meta.url).resolve('tsx'))('esbuild');
  const outfile = join(folder, 'prepare.mjs');
  const entry = fileURLToPath(new URL('./fixtures/prepare.ts', import.meta.url));
  const external = ['@duckdb/*'];
  await build({
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile,
    external,
    banner,
  });
  await symlink(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(folder, 'node_modules'));
  return outfile;
}
/** Modules of CommonJS within the bundle call `require`. */
const banner = {
  js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
};

const kills = 50;
/** Killed at the same time as this many others, each with a cache of its own. */
const lanes = 4;

const reviews = Array.from(
  { length: 3000 },
  (_, i) =>
    `{"user_id":"u${i % 300}","parent_asin":"i${(i + Math.floor(i / 300)) % 200}","timestamp":${1600000000000 + i},"rating":5}`,
).join('\n');
const items = Array.from(
  { length: 200 },
  (_, i) => `{"parent_asin":"i${i}","title":"Title ${i} ${'word '.repeat(100)}"}`,
).join('\n');

/** Prepares in a process of its own; kills it `delay` ms after it began, where it is not done before. */
function prepare(child: string, path: string, cache: string, delay = Number.POSITIVE_INFINITY) {
  return new Promise<{ finished: boolean; ms: number }>((resolve, reject) => {
    const running = spawn(process.execPath, [child, path], {
      env: { ...process.env, REC_CACHE: cache },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let begun = 0;
    let finished = false;
    running.stdout.on('data', (text: Buffer) => {
      if (String(text).includes('begin')) {
        begun = performance.now();
        if (Number.isFinite(delay)) setTimeout(() => running.kill('SIGKILL'), delay);
      }
      if (String(text).includes('done')) finished = true;
    });
    running.on('error', reject);
    running.on('close', () => resolve({ finished, ms: performance.now() - begun }));
  });
}

const isTemporary = (name: string) => name.endsWith('.tmp');
const listOf = (folder: string): string[] => {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
};

test(`killed ${kills} times at random, preparation leaves no half dataset that looks whole`, () =>
  inFolder(async (folder) => {
    const path = await writeFiles(`${folder}/data`, { 'reviews.jsonl': reviews, 'meta.jsonl': items });
    const whole = await load(path);
    const child = await bundledChild(folder);
    // As long as it takes beside as many others.
    const alike = Array.from({ length: lanes }, (_, i) => prepare(child, path, `${folder}/whole${i}`));
    const ms = Math.max(...(await Promise.all(alike)).map((one) => one.ms));
    const random = seeded('kill');
    let killed = 0;
    let abandoned = 0;
    const lane = async (number: number) => {
      const datasets = `${folder}/lane${number}/datasets`;
      for (let i = number; i < kills; i += lanes) {
        const { finished } = await prepare(child, path, `${folder}/lane${number}`, random.uniform() * ms);
        if (!finished) killed++;
        const entries = listOf(datasets);
        abandoned = Math.max(abandoned, entries.filter(isTemporary).length);
        for (const entry of entries.filter((name) => !isTemporary(name))) {
          const manifest = await checkPrepared(join(datasets, entry), whole.manifest.hash);
          const read = await readPrepared(join(datasets, entry), manifest!);
          assert.equal(spell(read, read.test), spell(whole, whole.test), 'what has its name is whole');
          // The next one begins anew.
          await rm(join(datasets, entry), { recursive: true });
        }
      }
      // An hour later, what the killed processes left behind is removed.
      for (const entry of listOf(datasets).filter(isTemporary)) await utimes(join(datasets, entry), 1, 1);
      await prepare(child, path, `${folder}/lane${number}`);
      assert.equal(listOf(datasets).filter(isTemporary), []);
    };
    await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)));
    assert.ok(killed > kills / 4, `${killed} of ${kills} were killed before they were done`);
    assert.ok(abandoned > 0, 'some were killed while they wrote');
  }));

test.run();
