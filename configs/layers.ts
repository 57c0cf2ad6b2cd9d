import { readFileSync } from 'node:fs';
import { isMap, isScalar, LineCounter, type Node, parse, parseDocument, type YAMLMap } from 'yaml';
import { z } from 'zod';
import { messageOf, UsageError } from '../common/errors.ts';
import { explainFileError } from '../common/files.ts';
import { fieldAt } from './schema.ts';
import { assign, empty, type Layer } from './values.ts';

/**
 * Reads a YAML file as a layer whose origins are 'path:line', or 'name:line' where another name is given.
 * Keys may be nested or dotted ('model.hiddenSize: 64').
 */
export function readYamlLayer(path: string, name = path): Layer {
  return yamlLayer(readText(path), name);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const explained = explainFileError(error, path);
    throw new UsageError(`cannot read the configuration file: ${messageOf(explained)}`, { cause: error });
  }
}

/** The same for text at hand; `name` stands for the file in origins and errors. */
export function yamlLayer(text: string, name: string): Layer {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const problem = document.errors[0];
  if (problem) {
    const { line, col } = lineCounter.linePos(problem.pos[0]);
    if (problem.code === 'DUPLICATE_KEY')
      throw new UsageError(`${name}:${line}: a key is given twice: ${lineOf(text, line)}`);
    throw new UsageError(`${name}:${line}:${col}: not valid YAML: ${problem.message}`);
  }
  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null)) return { values: {}, origin: () => name };
  if (!isMap(root))
    throw new UsageError(
      `${name}: expected 'key: value' lines, found ${isScalar(root) ? 'one value' : 'a list'}`,
    );

  const lines = new Map<string, number>();
  const values = empty();
  const read = (map: YAMLMap, prefix: string[]) => {
    for (const { key, value } of map.items) {
      const line = lineCounter.linePos((isScalar(key) && key.range?.[0]) || 0).line;
      const path = [...prefix, ...String(isScalar(key) ? key.value : key).split('.')];
      const dotted = path.join('.');
      const earlier = lines.get(dotted);
      lines.set(dotted, line);
      if (isMap(value)) read(value, path);
      else {
        if (earlier)
          throw new UsageError(`${name}:${line}: '${dotted}' is given twice (first on line ${earlier})`);
        const plain = value ? (value as Node).toJS(document) : null;
        assign(values, path, plain);
      }
    }
  };
  read(root, []);
  return { values, origin: (key) => nearestLine(lines, name, key) };
}

function nearestLine(lines: Map<string, number>, name: string, key: string): string {
  for (let at = key; at; at = at.slice(0, Math.max(0, at.lastIndexOf('.')))) {
    const line = lines.get(at);
    if (line) return `${name}:${line}`;
  }
  return name;
}

function lineOf(text: string, line: number): string {
  return `'${text.split('\n')[line - 1].trim()}'`;
}

/**
 * A layer of 'key=value' assignments. A value is read as YAML; where the schema wants a list '10,50' is one, and where
 * it wants text '2014' is text.
 */
export function assignmentLayer(
  schema: z.ZodObject,
  assignments: readonly string[],
  origin = '--set',
): Layer {
  const values = empty();
  for (const assignment of assignments) {
    const equals = assignment.indexOf('=');
    const key = assignment.slice(0, equals).trim();
    if (equals < 0 || !key) {
      throw new UsageError(`${origin} ${assignment}: expected key=value, as in ${origin} train.epochs=20`);
    }
    const path = key.split('.');
    assign(values, path, readValue(schema, path, assignment.slice(equals + 1), origin));
  }
  return { values, origin: () => origin };
}

/** Dedicated flags, by the key that each stands for: { seed: ['--seed', '7'] }. */
export type Flags = Record<string, [flag: string, text: string | undefined]>;

/** A layer of dedicated flags; those without a text were not given. */
export function flagLayer(schema: z.ZodObject, flags: Flags): Layer {
  const values = empty();
  for (const [key, [flag, text]] of Object.entries(flags)) {
    if (text !== undefined) assign(values, key.split('.'), readValue(schema, key.split('.'), text, flag));
  }
  return { values, origin: (key) => flags[key]?.[0] ?? 'the command line' };
}

function readValue(schema: z.ZodObject, path: string[], text: string, origin: string): unknown {
  const field = fieldAt(schema, path);
  const readings = [() => parse(text) as unknown, () => parse(`[${text}]`) as unknown, () => text];
  let first: unknown;
  for (const [index, reading] of readings.entries()) {
    let value: unknown;
    try {
      value = reading();
    } catch (error) {
      if (index === 0) first = error;
      continue;
    }
    if (index === 0) first = value;
    if (field && z.safeParse(field, value).success) return value;
  }
  if (first instanceof Error) {
    throw new UsageError(
      `${origin} ${path.join('.')}=${text}: not a valid value: ${first.message.split('\n')[0]}`,
    );
  }
  return first;
}
