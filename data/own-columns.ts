import { z } from 'zod';
import { UsageError, unknownName } from '../common/errors.ts';
import { fieldNames } from './readers/fields.ts';

/** What a column of reviews or of items can mean. `text` may be several columns, whose contents are joined. */
const meanings = [
  'user',
  'item',
  'time',
  'rating',
  'title',
  'features',
  'categories',
  'description',
  'text',
] as const;
export type Meaning = (typeof meanings)[number];

/** Files of a user's own: interactions, descriptions of items, and the columns that are not named as Amazon's are. */
export const ownFiles = z.strictObject({
  reviews: z.string(),
  items: z.string().optional(),
  columns: z.partialRecord(z.enum(meanings), z.string()).default({}),
});
export type OwnFiles = z.output<typeof ownFiles>;

/**
 * 'user=uid,item=sku,text=name+about'.
 * @throws UsageError for what is no such list, or means nothing
 */
export function parseColumns(text: string): OwnFiles['columns'] {
  const columns: OwnFiles['columns'] = {};
  for (const part of text.split(',')) {
    const [meaning, ...name] = part.split('=').map((word) => word.trim());
    if (!name.join('='))
      throw new UsageError(`--columns: '${part}' is not of the form user=COLUMN (several: user=A,item=B)`);
    if (!meanings.includes(meaning as Meaning))
      throw unknownName('meaning of a column', meaning, meanings, '--columns');
    columns[meaning as Meaning] = name.join('=');
  }
  return columns;
}

/** The names that a column of this meaning may have: the one given, else those of Amazon's files. */
export function namesOf(columns: OwnFiles['columns'], meaning: Exclude<Meaning, 'text'>): readonly string[] {
  const given = columns[meaning];
  return given === undefined ? fieldNames[meaning] : [given];
}
