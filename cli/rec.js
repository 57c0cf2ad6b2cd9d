#!/usr/bin/env node
// The command's entry: plain JavaScript, so that it runs right after `npm ci` without a build. It makes TypeScript
// importable and hands over to main.ts.
process.on('SIGINT', interrupted).on('SIGTERM', interrupted);
function interrupted() {
  process.exit(130);
}

// Imported before the TypeScript loader, which would look at each of its files: half the start-up time.
await import('yargs');
const { register } = await import('tsx/esm/api');
register();
const { main } = await import('./main.ts');
process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
await main(process.argv.slice(2));
