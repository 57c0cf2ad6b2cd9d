import { UserError } from '../common/errors.ts';
import { paint } from './style.ts';

/** A reader that has gone away (`rec models | head -1`) ends the command in silence. */
export function endOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
      throw error;
    });
  }
}

/** Writes a result to standard output: one JSON object, or text. */
export function printResult(result: unknown, json: boolean, asText: () => string): void {
  process.stdout.write(`${json ? JSON.stringify(result, null, 2) : asText()}\n`);
}

/** Tells the user of a failure on standard error, with its stack if asked for; returns the exit code. */
export function reportFailure(error: unknown, debug: boolean): number {
  const expected = error instanceof UserError;
  const message = error instanceof Error ? error.message : String(error);
  const label = paint(process.stderr, 'red', expected ? 'rec' : 'rec: internal error');
  process.stderr.write(`${label}: ${message}\n`);
  if (debug) process.stderr.write(`${stackOf(error)}\n`);
  else if (!expected) process.stderr.write('Run it again with --debug to see where.\n');
  return expected ? error.exitCode : 1;
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const cause = error.cause ? `\ncaused by: ${stackOf(error.cause)}` : '';
  return `${error.stack}${cause}`;
}
