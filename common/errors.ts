import { closest, distance } from 'fastest-levenshtein';

/** A failure that the user can act on: printed without a stack trace, exit code 1. */
export class UserError extends Error {
  readonly exitCode: number = 1;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UserError';
  }
}

/** A command line or configuration that cannot be meant: exit code 2. */
export class UsageError extends UserError {
  override readonly exitCode = 2;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UsageError';
  }
}

/** The user interrupted the work: exit code 130. */
export class Cancelled extends UserError {
  override readonly exitCode = 130;
  constructor(message = 'interrupted') {
    super(message);
    this.name = 'Cancelled';
  }
}

/** The candidate that `word` was most probably meant to be, or undefined where nothing is near. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  if (!candidates.length) return undefined;
  const best = closest(word.toLowerCase(), [...candidates]);
  const shared =
    best.toLowerCase().includes(word.toLowerCase()) || word.toLowerCase().includes(best.toLowerCase());
  const limit = Math.max(2, Math.ceil(word.length / 3));
  return shared || distance(word.toLowerCase(), best.toLowerCase()) <= limit ? best : undefined;
}

/** "unknown model 'sasrek'; did you mean 'sasrec'? Must be one of [...]". */
export function unknownName(
  kind: string,
  word: string,
  candidates: readonly string[],
  origin?: string,
): UsageError {
  const hint = nearest(word, candidates);
  const from = origin ? ` (from ${origin})` : '';
  const meant = hint ? `; did you mean '${hint}'?` : '.';
  const quote = candidates.some((name) => name.includes(',')) ? "'" : '';
  const names = [...candidates].sort().map((name) => `${quote}${name}${quote}`);
  return new UsageError(`unknown ${kind} '${word}'${from}${meant} Must be one of [${names.join(', ')}].`);
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
