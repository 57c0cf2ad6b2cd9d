import { fileURLToPath } from 'node:url';
import { messageOf, UserError } from '../common/errors.ts';

/**
 * What went wrong as a function was traced, in the words of who wrote it.
 * @param placesOf where the function used an operation, " (models/x.ts:12:3)" or ''
 */
export function explain(error: unknown, placesOf: (operation: string) => string): unknown {
  if (error instanceof UserError) return error;
  const message = messageOf(error);
  const stack = error instanceof Error ? error.stack : undefined;
  const kernel = /registered kernel '(\w+)'|Kernel '(\w+)' not registered/.exec(message);
  if (kernel) {
    return new UserError(
      `operation '${kernel[1] ?? kernel[2]}' cannot be compiled${modelLine(stack)}: the engine has no ONNX kernel for it; ` +
        'express it with other tf operations, or add a kernel in engine/kernels',
      { cause: error },
    );
  }
  const gradient = /gradient function not found for (\w+)/.exec(message);
  if (gradient) {
    return new UserError(
      `operation '${gradient[1]}' has no gradient in tfjs${placesOf(gradient[1])}; ` +
        'wrap it in tf.customGrad, or use other operations',
      { cause: error },
    );
  }
  return new UserError(`a model function failed while it was compiled${modelLine(stack)}: ${message}`, {
    cause: error,
  });
}

const ENGINE = fileURLToPath(new URL('.', import.meta.url));
/** tfjs's frames name its bundle, or its sources where source maps are on. */
const isLibrary = (frame: string) => /node_modules|\/tfjs-[\w-]+\/src\/|node:internal/.test(frame);

/** " (models/x.ts:12:3)": the innermost frame of a stack that is the traced function's own, or '' where it has none. */
export function modelLine(stack = new Error().stack): string {
  for (const frame of stack?.split('\n').slice(1) ?? []) {
    const place = /\(?((?:file:\/\/)?\/[^()]+:\d+:\d+)\)?$/.exec(frame.trim())?.[1]?.replace('file://', '');
    if (!place || isLibrary(frame)) continue;
    if (place.startsWith(ENGINE)) {
      // Further out are those who called the compiled function.
      if (/\btrace \(/.test(frame)) return '';
      continue;
    }
    const root = `${process.cwd()}/`;
    return ` (${place.startsWith(root) ? place.slice(root.length) : place})`;
  }
  return '';
}

/** tf.randomUniform and its like draw on the host: compiled, one draw would be repeated for ever. */
export function rejectHostRandomness(): void {
  const stack = new Error().stack ?? '';
  const calls = stack.split('\n').filter(isLibrary).join('\n');
  const source =
    /\b(randomUniformInt|randomUniform|randomNormal|randomStandardNormal|truncatedNormal|randomGamma|rand)_ /.exec(
      calls,
    );
  if (!source) return;
  const op = /\bdropout_ /.test(calls) ? 'dropout' : source[1];
  throw new UserError(
    `tf.${op} draws random numbers while the model is compiled${modelLine(stack)}: every step would repeat them; ` +
      "use the engine's dropout(x, rate) or noise(shape)",
  );
}
