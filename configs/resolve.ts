import { z } from 'zod';
import { nearest, UsageError } from '../common/errors.ts';
import { asSection, describeSchema, fieldAt, typeInWords } from './schema.ts';
import { assign, isValues, type Layer, type Values } from './values.ts';

/** A configuration, and where each of its values (by dotted key) came from. */
export interface Resolved<S extends z.ZodObject> {
  config: z.output<S>;
  /** 'default', 'configs/models/unisrec.yaml:7', 'my.yaml:3', '--set', '--seed'. */
  origins: Record<string, string>;
}

/**
 * Lays layers over the schema's defaults, later ones winning value by value.
 * @param missing what to say where a required key, by name, is not given
 * @throws UsageError for an unknown key (with the nearest valid one) or a value of the wrong type, naming its origin.
 */
export function resolve<S extends z.ZodObject>(
  schema: S,
  layers: readonly Layer[],
  missing: Record<string, string> = {},
): Resolved<S> {
  const merged = emptySections(schema);
  const origins: Record<string, string> = {};
  for (const layer of layers) {
    for (const { path, field, value } of leaves(schema, layer, [], layer.values)) {
      const key = path.join('.');
      const checked = z.safeParse(field, value);
      if (!checked.success) {
        throw new UsageError(wrongValue(key, field, value, checked.error.issues[0], layer.origin(key)));
      }
      assign(merged, path, value);
      origins[key] = layer.origin(key);
    }
  }
  const parsed = schema.safeParse(merged);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UsageError(missing[issue.path.join('.')] ?? explainIssue(issue, schema, merged, origins));
  }
  for (const { key } of describeSchema(schema)) origins[key] ??= 'default';
  return { config: parsed.data as z.output<S>, origins };
}

/** A mapping with every section of the schema, so that those nothing was said about get the defaults inside them. */
function emptySections(schema: z.ZodObject): Values {
  const sections: Values = {};
  for (const [name, field] of Object.entries(schema.shape)) {
    const section = asSection(field);
    if (section) sections[name] = emptySections(section);
  }
  return sections;
}

interface Leaf {
  path: string[];
  field: z.core.$ZodType;
  value: unknown;
}

/** The values that a layer sets, each with its field of the schema. */
function* leaves(schema: z.ZodObject, layer: Layer, prefix: string[], values: Values): Generator<Leaf> {
  for (const [name, value] of Object.entries(values)) {
    const path = [...prefix, name];
    const field = fieldAt(schema, path);
    const origin = layer.origin(path.join('.'));
    if (!field) throw unknownKey(schema, firstLeaf(path, value), origin);
    const section = asSection(field);
    if (!section) yield { path, field, value };
    else if (isValues(value)) yield* leaves(schema, layer, path, value);
    else if (value !== null) throw notASection(schema, path, value, origin);
    // A null section is 'train:' with all of its lines commented out.
  }
}

function notASection(
  schema: z.ZodObject,
  path: readonly string[],
  value: unknown,
  origin: string,
): UsageError {
  const key = path.join('.');
  const keys = describeSchema(schema).map((parameter) => parameter.key);
  const namesake = keys.find((other) => lastPart(other) === lastPart(key));
  const meant = namesake ? ` Did you mean '${namesake}'?` : '';
  const inner = keys.filter((other) => other.startsWith(`${key}.`)).join(', ') || 'none';
  return new UsageError(
    `${key} is a section, not a value: got ${shown(value)}, from ${origin}.${meant} Keys of ${key}: ${inner}.`,
  );
}

function wrongValue(
  key: string,
  field: z.core.$ZodType,
  value: unknown,
  issue: z.core.$ZodIssue,
  origin: string,
): string {
  const custom = issue.code === 'custom' ? `: ${issue.message}` : '';
  return `${key} must be ${typeInWords(field)}, got ${shown(value)}, from ${origin}${custom}`;
}

/** An issue that no single value shows: a required key that is missing, or a rule between keys. */
function explainIssue(
  issue: z.core.$ZodIssue,
  schema: z.ZodObject,
  merged: Values,
  origins: Record<string, string>,
): string {
  const path = issue.path.map(String);
  const key = path.join('.');
  const field = fieldAt(schema, path);
  const value = path.reduce<unknown>((at, name) => (isValues(at) ? at[name] : undefined), merged);
  if (value === undefined && field)
    return `${key} is required (${typeInWords(field)}): give it with --set ${key}=...`;
  const origin = origins[key] ? `, from ${origins[key]}` : '';
  return `${key || 'configuration'}: ${issue.message}${origin}`;
}

function shown(value: unknown): string {
  if (value === null) return 'nothing (null)';
  // A URL's credentials are not repeated: what is printed may be kept in a log.
  if (typeof value === 'string') return `the text '${value.replace(/\/\/[^/@]*@/, '//...@')}'`;
  return JSON.stringify(value) ?? String(value);
}

/** The path down to the first value inside: what is missing for 'modle.hiddenSize' is more than 'modle'. */
function firstLeaf(path: string[], value: unknown): string[] {
  if (!isValues(value)) return path;
  const [first] = Object.entries(value);
  return first ? firstLeaf([...path, first[0]], first[1]) : path;
}

/** "unknown key 'model.hidenSize', from my.yaml:3; did you mean 'model.hiddenSize'? Keys of model: ...". */
function unknownKey(schema: z.ZodObject, path: readonly string[], origin: string): UsageError {
  const hint = nearestKey(schema, path);
  const meant = hint ? `; did you mean '${hint}'?` : '.';
  const parents = path.slice(0, -1);
  const parent = fieldAt(schema, parents);
  const section = (parent && asSection(parent)) ?? schema;
  const names = Object.keys(section.shape).join(', ') || 'none';
  const listed =
    section === schema ? `Keys and sections: ${names}.` : `Keys of ${parents.join('.')}: ${names}.`;
  return new UsageError(`unknown key '${path.join('.')}', from ${origin}${meant} ${listed}`);
}

/** A key of the same name in another section is meant before a similar one beside, and that before any similar one. */
function nearestKey(schema: z.ZodObject, path: readonly string[]): string | undefined {
  const keys = describeSchema(schema).map((parameter) => parameter.key);
  const word = path[path.length - 1];
  const namesake = keys.find((key) => lastPart(key).toLowerCase() === word.toLowerCase());
  if (namesake) return namesake;
  const prefix = path
    .slice(0, -1)
    .map((name) => `${name}.`)
    .join('');
  const siblings = keys.filter((key) => key.startsWith(prefix));
  const sibling = nearest(word, siblings.map(lastPart));
  return sibling ? siblings.find((key) => lastPart(key) === sibling) : nearest(path.join('.'), keys);
}

function lastPart(key: string): string {
  return key.slice(key.lastIndexOf('.') + 1);
}
