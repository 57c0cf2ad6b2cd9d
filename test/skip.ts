import { appendFileSync } from 'node:fs';

/** Where test/run.js wants to be told; undefined where a file of tests runs alone. */
const told = process.env.REC_TEST_SKIPS;

/** Says that a test, a part of one or a group of them is left out, since something is not here. */
export function skipped(why: string): void {
  console.log(`skipped: ${why}`);
  if (told) appendFileSync(told, `${why}\n`);
}
