import { z } from 'zod';
import { isValues, type Layer } from './values.ts';

/** One documented parameter of a schema. */
export interface Parameter {
  /** Dotted: 'model.hiddenSize'. */
  key: string;
  /** In words: 'integer > 0', "one of 'cls', 'mean'". */
  type: string;
  /** Undefined where the parameter has none: it is required, or stays unset. */
  default: unknown;
  required: boolean;
  description: string;
}

/** Every parameter of a schema, nested sections flattened to dotted keys, in the order declared. */
export function describeSchema(schema: z.ZodObject, prefix = ''): Parameter[] {
  return Object.entries(schema.shape).flatMap(([name, field]) => {
    const section = asSection(field);
    if (section) return describeSchema(section, `${prefix}${name}.`);
    const absent = z.safeParse(field, undefined);
    return {
      key: prefix + name,
      type: typeInWords(field),
      default: absent.success ? absent.data : undefined,
      required: !absent.success,
      description: descriptionOf(field),
    };
  });
}

/** Parameters with the values that layers (YAML files beside the schema) give them as defaults. */
export function withDefaults(parameters: readonly Parameter[], layers: readonly Layer[]): Parameter[] {
  return parameters.map((parameter) => {
    const values = layers.map(({ values }) =>
      parameter.key.split('.').reduce<unknown>((at, name) => (isValues(at) ? at[name] : undefined), values),
    );
    const given = values.findLast((value) => value !== undefined);
    return given === undefined ? parameter : { ...parameter, default: given, required: false };
  });
}

/** The object schema that a field is, or undefined where the field is a value. */
export function asSection(field: z.core.$ZodType): z.ZodObject | undefined {
  const inner = field instanceof z.ZodPrefault || field instanceof z.ZodDefault ? field.def.innerType : field;
  return inner instanceof z.ZodObject ? inner : undefined;
}

/** The field at a path, or undefined where the schema has no such key. */
export function fieldAt(schema: z.ZodObject, path: readonly string[]): z.core.$ZodType | undefined {
  let field: z.core.$ZodType | undefined = schema;
  for (const name of path) {
    const section: z.ZodObject | undefined = field && asSection(field);
    field = section && Object.hasOwn(section.shape, name) ? section.shape[name] : undefined;
  }
  return field;
}

/** What a field accepts, in words. */
export function typeInWords(field: z.core.$ZodType): string {
  return inWords(z.toJSONSchema(field, { io: 'input', unrepresentable: 'any' }));
}

function inWords(schema: z.core.JSONSchema._JSONSchema): string {
  if (typeof schema === 'boolean') return 'anything';
  if (schema.const !== undefined) return quote(schema.const);
  if (schema.enum)
    return schema.enum.length === 1 ? quote(schema.enum[0]) : `one of ${schema.enum.map(quote).join(', ')}`;
  if (schema.anyOf) return schema.anyOf.map(inWords).join(' or ');
  if (schema.oneOf) return schema.oneOf.map(inWords).join(' or ');
  if (Array.isArray(schema.type)) return schema.type.map((type) => inWords({ ...schema, type })).join(' or ');
  switch (schema.type) {
    case 'integer':
    case 'number':
      return [schema.type, boundsInWords(schema)].filter(Boolean).join(' ');
    case 'boolean':
      return 'true or false';
    case 'string':
      return 'text';
    case 'array': {
      const tuple = schema.prefixItems;
      if (tuple) return `list of ${tuple.length} (${tuple.map(inWords).join(', ')})`;
      const items = schema.items && !Array.isArray(schema.items) ? inWords(schema.items) : 'values';
      return `${schema.minItems ? 'non-empty ' : ''}list of (${items})`;
    }
    case 'object':
      return 'mapping';
    default:
      return schema.type ?? 'anything';
  }
}

function boundsInWords(schema: z.core.JSONSchema.JSONSchema): string {
  const bounds: string[] = [];
  const real = (bound: unknown) => typeof bound === 'number' && Math.abs(bound) < Number.MAX_SAFE_INTEGER;
  if (real(schema.exclusiveMinimum)) bounds.push(`> ${schema.exclusiveMinimum}`);
  if (real(schema.minimum)) bounds.push(`>= ${schema.minimum}`);
  if (real(schema.exclusiveMaximum)) bounds.push(`< ${schema.exclusiveMaximum}`);
  if (real(schema.maximum)) bounds.push(`<= ${schema.maximum}`);
  return bounds.join(' and ');
}

function quote(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}

/** `describe` may have been called before or after `default`; the outermost description wins. */
function descriptionOf(field: z.core.$ZodType): string {
  for (let at: z.core.$ZodType | undefined = field; at; ) {
    const description = z.globalRegistry.get(at)?.description;
    if (description) return description;
    at = (at._zod.def as { innerType?: z.core.$ZodType }).innerType;
  }
  return '';
}
