import { messageOf, UserError } from '../common/errors.ts';
import { modelLine } from './explain.ts';

/** The files of plugins, by what they define. */
const files = new WeakMap<object, string>();

/** Notes that a definition is a plugin's. */
export function rememberPlugin(definition: object, path: string): void {
  files.set(definition, path);
}

/**
 * What the code of a definition threw, in words that say whose code it is and where it failed; unchanged where the
 * definition is rec's own, or the error speaks for itself.
 * @param what the code, as "encoder 'x': embed()"
 */
export function blamePlugin(definition: object, what: string, error: unknown): unknown {
  const file = files.get(definition);
  if (file === undefined || error instanceof UserError) return error;
  const line = error instanceof Error ? modelLine(error.stack) : '';
  return new UserError(`plugin ${file}: ${what} failed${line}: ${messageOf(error)}`, { cause: error });
}
