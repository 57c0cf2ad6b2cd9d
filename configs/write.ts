import { stringify } from 'yaml';
import type { z } from 'zod';
import { asSection } from './schema.ts';
import { isValues, type Values } from './values.ts';

/**
 * A resolved configuration as YAML, each value's origin in a comment beside it. `--config` reads it back to the same
 * configuration.
 */
export function configAsYaml(schema: z.ZodObject, config: Values, origins: Record<string, string>): string {
  return `${sectionLines(schema, config, origins, []).join('\n')}\n`;
}

function sectionLines(
  schema: z.ZodObject,
  values: Values,
  origins: Record<string, string>,
  path: string[],
): string[] {
  const indent = '  '.repeat(path.length);
  return Object.entries(schema.shape).flatMap(([name, field]) => {
    const value = values[name];
    if (value === undefined) return [];
    const section = asSection(field);
    const inner = [...path, name];
    if (section && isValues(value)) {
      const lines = sectionLines(section, value, origins, inner);
      return lines.length ? [`${indent}${name}:`, ...lines] : [];
    }
    return `${indent}${name}: ${inOneLine(value)}  # ${origins[inner.join('.')] ?? 'default'}`;
  });
}

function inOneLine(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0, blockQuote: false }).trim();
}
