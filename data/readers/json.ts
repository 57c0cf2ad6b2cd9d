import { basename } from 'node:path';
import { messageOf, UserError } from '../../common/errors.ts';
import type { Progress } from '../../common/progress.ts';
import type { BadRows } from '../table.ts';
import { fieldNames, type JsonRecord } from './fields.ts';
import { forEachLine, hasByteOrderMark, readHead } from './lines.ts';

/**
 * Calls `use(record, place)` for every object of a JSON Lines file (place = line) or of a JSON array (place = number
 * of the element, from 1). Lines that are no JSON objects are counted as bad.
 * @returns how many records there were, bad ones included.
 */
export async function readJsonRecords(
  path: string,
  progress: Progress,
  bad: BadRows,
  use: (record: JsonRecord, place: number) => void,
): Promise<number> {
  if (/^\s*\[/.test(await readHead(path, 1 << 12))) return readArray(path, progress, bad, use);
  let records = 0;
  await forEachLine(path, progress, (line, number) => {
    if (!line.trim()) return;
    records++;
    let record: unknown;
    try {
      record = JSON.parse(line);
    } catch {
      bad.add(path, 'broken JSON', number);
      return;
    }
    if (isRecord(record)) use(record, number);
    else bad.add(path, 'not a JSON object', number);
  });
  if (!records) throw new UserError(`${path}: the file is empty; JSON records were expected.`);
  return records;
}

async function readArray(
  path: string,
  progress: Progress,
  bad: BadRows,
  use: (record: JsonRecord, place: number) => void,
): Promise<number> {
  const lines: string[] = [];
  await forEachLine(path, progress, (line) => void lines.push(line));
  let list: unknown;
  try {
    list = JSON.parse(lines.join('\n'));
  } catch (error) {
    throw new UserError(
      `${path}: not valid JSON: ${messageOf(error)}. Copy the file again, or write one object a line (JSON Lines).`,
    );
  }
  const elements = list as unknown[];
  if (!elements.length) throw new UserError(`${path}: the list is empty; JSON records were expected.`);
  elements.forEach((element, i) => {
    if (isRecord(element)) use(element, i + 1);
    else bad.add(path, 'not a JSON object', i + 1);
  });
  return elements.length;
}

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a JSON file begins with: its first object, where that can be read, and whether it is one object a line. */
export async function jsonHead(path: string): Promise<{ first?: JsonRecord; plainLines: boolean }> {
  const head = await readHead(path);
  return { first: firstObject(head), plainLines: !/^\s*\[/.test(head) && !(await hasByteOrderMark(path)) };
}

/** What a JSON file holds, by the fields of its first record, or by its name where that record cannot be read. */
export async function jsonKind(path: string): Promise<'reviews' | 'metadata' | undefined> {
  const { first } = await jsonHead(path);
  if (first) return fieldsKind(Object.keys(first));
  if (/meta/i.test(basename(path))) return 'metadata';
  return /review/i.test(basename(path)) ? 'reviews' : undefined;
}

/** What rows with these fields are. */
export function fieldsKind(fields: readonly string[]): 'reviews' | 'metadata' | undefined {
  const has = (names: readonly string[]): boolean => names.some((name) => fields.includes(name));
  if (has(fieldNames.user)) return 'reviews';
  return has(fieldNames.item) ? 'metadata' : undefined;
}

/** The first complete {...} in a text that begins with one, or with a list of them. */
function firstObject(text: string): JsonRecord | undefined {
  const start = text.indexOf('{');
  if (start < 0 || !/^\s*\[?\s*$/.test(text.slice(0, start))) return undefined;
  let depth = 0;
  let inString = false;
  for (let i = start; i < text.length; i++) {
    const c = text[i];
    if (inString) {
      if (c === '\\') i++;
      else if (c === '"') inString = false;
    } else if (c === '"') inString = true;
    else if (c === '{') depth++;
    else if (c === '}' && --depth === 0) {
      try {
        return JSON.parse(text.slice(start, i + 1)) as JsonRecord;
      } catch {
        return undefined;
      }
    }
  }
  return undefined;
}
