#!/usr/bin/env node
// The command's entry: plain JavaScript, so that it runs right after `npm ci` without a build. It makes TypeScript
// importable and hands over to main.ts.
for (const event of ['SIGINT', 'SIGTERM', 'disconnect']) process.on(event, interrupted);
function interrupted() {
  process.exit(130);
}

// Imported before the TypeScript loader, which would look at each of its files: half the start-up time.
await import('yargs');
const { register } = await import('tsx/esm/api');
register();
const { main } = await import('./main.ts');
for (const event of ['SIGINT', 'SIGTERM', 'disconnect']) process.off(event, interrupted);
await main(process.argv.slice(2));
