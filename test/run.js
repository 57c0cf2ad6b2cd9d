// Runs all tests in two processes side by side: many of them wait, for servers or for processes that they start. What the second
// one says comes when the first one has ended; what was skipped, and why, at the end of all.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'rec-tests-'));
// A line for each call of skipped() in test/skip.ts.
const skips = join(folder, 'skips');
writeFileSync(skips, '');
const first = '(?:cli|data|hub)/';
const [shown, held] = [`^${first}.*\\.test\\.ts$`, `^(?!${first}).*\\.test\\.ts$`].map((pattern, i) =>
  spawn(process.execPath, ['--import', 'tsx', 'node_modules/uvu/bin.js', 'test', pattern], {
    stdio: ['ignore', i ? 'pipe' : 'inherit', i ? 'pipe' : 'inherit'],
    env: { FORCE_COLOR: process.stdout.isTTY ? '1' : '', ...process.env, REC_TEST_SKIPS: skips },
  }),
);
let waiting = [];
const tell = (text) => (waiting ? waiting.push(text) : process.stdout.write(text));
for (const stream of [held.stdout, held.stderr]) stream.on('data', tell);
const ended = [shown, held].map((child) => once(child, 'close'));
const [code] = await ended[0];
process.stdout.write(Buffer.concat(waiting));
waiting = undefined;
const [other] = await ended[1];
process.exitCode = code || other;
tellSkips(readFileSync(skips, 'utf8').split('\n').slice(0, -1));
rmSync(folder, { recursive: true });

/** Skipped tests count as passed: how many there were, and why. */
function tellSkips(reasons) {
  if (!reasons.length) return;
  const counts = new Map();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  console.log(`skipped, and counted as passed: ${reasons.length} tests, parts or groups of tests`);
  for (const [reason, count] of counts) console.log(`  ${String(count).padStart(3)}  ${reason}`);
}
