import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../common/errors.ts';
import { writeLines } from '../common/files.ts';
import type { Dataset } from './dataset.ts';
import { splitNames } from './table.ts';

/**
 * Writes a prepared dataset as the pre-split files that the official code of BLaIR trains RecBole's models on: rows with
 * histories, users by their numbers, items by the source's ids, which `data_maps` numbers from 1 (0 is [PAD]) and describes.
 * @throws UserError for an id that has a space, as histories are separated by spaces
 */
export async function writeSplitRows(dataset: Dataset, folder: string, name: string): Promise<void> {
  const { itemIds, itemTexts, pool } = dataset;
  const misfit = itemIds.find((id) => /\s/.test(id));
  if (misfit !== undefined)
    throw new UserError(
      `the layout recbole-split cannot hold the id ${JSON.stringify(misfit)}: it has a space.`,
    );
  await mkdir(folder, { recursive: true });
  for (const split of splitNames) {
    const { user, start, end, target } = dataset[split];
    await writeLines(join(folder, `${name}.${split}.inter`), function* () {
      yield 'user_id:token\titem_id_list:token_seq\titem_id:token\n';
      for (let i = 0; i < target.length; i++) {
        const history = Array.from(pool.subarray(start[i], end[i]), (item) => itemIds[item]);
        yield `${user[i]}\t${history.join(' ')}\t${itemIds[target[i]]}\n`;
      }
    });
  }
  await writeLines(join(folder, `${name}.data_maps`), function* () {
    yield '{"id2item": ["[PAD]"';
    for (const id of itemIds) yield `, ${JSON.stringify(id)}`;
    yield '], "item2id": {"[PAD]": 0';
    for (const [i, id] of itemIds.entries()) yield `, ${JSON.stringify(id)}: ${i + 1}`;
    yield '}, "id2meta": {"0": "[PAD]"';
    let number = 1;
    for (const text of itemTexts ?? []) yield `, "${number++}": ${JSON.stringify(text)}`;
    yield '}}\n';
  });
}
