import { decodeHTML } from 'entities';
import type { DataSettings } from './settings.ts';

/** The fields of an item that texts are made of; a list is a list of sentences. */
export interface ItemFields {
  title?: unknown;
  features?: unknown;
  categories?: unknown;
  description?: unknown;
}

/**
 * One string, cleaned as the official `clean_text` does, in its order: HTML unescaped, ends trimmed, tags removed,
 * newlines and tabs to spaces, runs of spaces collapsed, every non-ASCII character to one space (which is last, so
 * that neighbouring ones leave a run).
 */
export function cleanText(raw: string): string {
  // Without the flag u, which is slow, a character may be two units.
  return cleanMarkup(raw).replace(/[\uD800-\uDBFF][\uDC00-\uDFFF]|[^\0-\x7F]/g, ' ');
}

/** The same, but for the last step: characters of all scripts stay. */
export const cleanMarkup = (raw: string): string =>
  decodeHTML(raw)
    .trim()
    .replace(/<[^>]+>/g, '')
    .replace(/[\n\t ]{2,}|[\n\t]/g, ' ');

/** A field as a sentence: a list's entries joined by ', ' and closed by '.', a string as it is, '' where missing. */
export function fieldSentence(field: unknown, clean = cleanText): string {
  if (Array.isArray(field)) return field.length ? `${field.map((v) => clean(String(v))).join(', ')}.` : '';
  if (typeof field === 'number') return `${field}.`;
  return typeof field === 'string' ? clean(field) : '';
}

/**
 * Item text for recommendation: title, features, categories, description, each a sentence followed by a space (the
 * official `clean_metadata`; missing fields leave their space). '' where every field is missing.
 */
export function recommendationText(item: ItemFields, clean = cleanText): string {
  const sentences = [item.title, item.features, item.categories, item.description].map((field) =>
    fieldSentence(field, clean),
  );
  return sentences.some(Boolean) ? sentences.map((s) => `${s} `).join('') : '';
}

/** Item text for product search: title and description, each closed by exactly one '.' (official `process_esci.py`). */
export function searchText(item: ItemFields): string {
  return [item.title, item.description]
    .filter((field) => field !== undefined && field !== null)
    .map((field) => {
      const text = decodeHTML(Array.isArray(field) ? field.join(' ') : String(field)).replace(/["\n\r]/g, '');
      return `${text.replace(/(?<!^)\.+$/, '')}. `;
    })
    .join('')
    .replaceAll('\t', ' ');
}

/** Item text for pretraining: title, features, description, joined by spaces (official `sample_pretraining_data.py`). */
export function pretrainingText(item: ItemFields): string {
  const parts: string[] = [];
  if (item.title !== undefined && item.title !== null) parts.push(String(item.title));
  for (const field of [item.features, item.description]) {
    if (Array.isArray(field) && field.length) parts.push(field.join(' '));
    else if (typeof field === 'string' && field) parts.push(field);
  }
  return parts
    .join(' ')
    .replace(/[\t\n]/g, ' ')
    .replaceAll('\r', '')
    .trim();
}

/** The text that a setting names. */
export const itemText: Record<DataSettings['text'], (item: ItemFields) => string> = {
  recommendation: (item) => recommendationText(item),
  unicode: (item) => recommendationText(item, cleanMarkup),
  search: searchText,
  pretraining: pretrainingText,
};
