// Runs all tests in two processes side by side: many of them wait, for servers or for processes that they start. What the second
// one says comes when the first one has ended.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const first = '(?:cli|data|hub)/';
const [shown, held] = [`^${first}.*\\.test\\.ts$`, `^(?!${first}).*\\.test\\.ts$`].map((pattern, i) =>
  spawn(process.execPath, ['--import', 'tsx', 'node_modules/uvu/bin.js', 'test', pattern], {
    stdio: ['ignore', i ? 'pipe' : 'inherit', i ? 'pipe' : 'inherit'],
    env: { FORCE_COLOR: process.stdout.isTTY ? '1' : '', ...process.env },
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
