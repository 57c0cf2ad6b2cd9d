// Runs all tests in two processes side by side: many of them wait, for servers or for processes that they start. What the second
// one says comes when the first one has ended.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const first = '(?:cli|data|hub)/';
const patterns = [`^${first}.*\\.test\\.ts$`, `^(?!${first}).*\\.test\\.ts$`];

const [running, waiting] = patterns.map((pattern, i) =>
  spawn(process.execPath, ['--import', 'tsx', 'node_modules/uvu/bin.js', 'test', pattern], {
    stdio: ['ignore', i ? 'pipe' : 'inherit', i ? 'pipe' : 'inherit'],
    env: { FORCE_COLOR: process.stdout.isTTY ? '1' : '', ...process.env },
  }),
);
const said = [];
for (const stream of [waiting.stdout, waiting.stderr]) stream.on('data', (text) => said.push(text));
const ended = [running, waiting].map((child) => once(child, 'close'));
const [code] = await ended[0];
process.stdout.write(Buffer.concat(said.splice(0)));
for (const stream of [waiting.stdout, waiting.stderr])
  stream.on('data', (text) => process.stdout.write(text));
const [other] = await ended[1];
process.stdout.write(Buffer.concat(said));
process.exitCode = code || other;
