import type { Progress } from '../common/progress.ts';
import type { Database } from './database.ts';
import type { DataSettings } from './settings.ts';
import type { StoreWriter } from './store.ts';
import { type ItemFields, itemText } from './text.ts';

interface ItemsContext {
  settings: DataSettings;
  /** Whether there are tables of what items are. */
  described: boolean;
  progress: Progress;
}

/**
 * Writes the items of the table `candidates` (item_number, item_name) in their order, with texts made of the fields in
 * `read_items` where `described` says that an item is there (see Loader.items), block by block.
 * @returns how many items have a text with a letter or digit in it
 */
export async function writeItems(
  database: Database,
  writer: StoreWriter,
  total: number,
  { settings, described, progress }: ItemsContext,
): Promise<number> {
  const sql = described
    ? `
      SELECT item_name, title, features, categories, description, ready
      FROM candidates LEFT JOIN described USING (item_name) LEFT JOIN read_items ON read_items.rowid = place
      ORDER BY item_number`
    : 'SELECT item_name FROM candidates ORDER BY item_number';
  const compose = itemText[settings.text];
  let withText = 0;
  let without = 0;
  let done = 0;
  progress.begin('write items', 'items', total);
  for await (const { rows, columns } of database.blocks(sql)) {
    const [names, title, features, categories, description, ready] = columns as (string | null)[][];
    for (let i = 0; i < rows; i++) {
      const text = described
        ? (textOf(parsed(ready[i])) ??
          compose({
            title: parsed(title[i]),
            features: parsed(features[i]),
            categories: parsed(categories[i]),
            description: parsed(description[i]),
          } satisfies ItemFields))
        : undefined;
      if (text && WORDY.test(text)) withText++;
      else if (text) without++;
      writer.item(names[i] as string, text);
    }
    done += rows;
    progress.advance(done, total);
  }
  progress.end();
  if (without && settings.text === 'recommendation')
    progress.warning(
      `${without} of ${total} items have texts of which nothing is left without the characters beyond ASCII, which ` +
        'data.text=recommendation removes, as the paper does; data.text=unicode keeps them',
    );
  return withText;
}

const WORDY = /[\p{L}\p{N}]/u;

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

function parsed(json: string | null): unknown {
  return json === null ? undefined : JSON.parse(json);
}
