import { join } from 'node:path';
import { forEachPair } from '../../data/pairs/index.ts';
import type { Folder } from '../../data/readers/layout.ts';
import { readHead } from '../../data/readers/lines.ts';
import type { TaskSource } from './source.ts';

/** Recognises a file of pretraining pairs, as `rec data pairs` writes it. */
export async function detectPairs({ path, files }: Folder): Promise<TaskSource | undefined> {
  for (const name of files.filter((file) => /\.tsv(\.gz)?$/.test(file))) {
    const header = (await readHead(join(path, name), 1 << 12)).split(/\r?\n/, 1)[0].split('\t');
    if (header.includes('review') && header.includes('metadata')) return pairs(join(path, name));
  }
  return undefined;
}

/** Reviews of the test split are queries, each for its own item; the items of all pairs are the pool. */
function pairs(path: string): TaskSource {
  return {
    layout: 'pairs of reviews and item metadata',
    paths: [path],
    drawn: false,
    gains: () => ({ 'own item': 1 }),
    async read({ writer, progress, step }) {
      let read = 0;
      await forEachPair(path, progress, ({ split, domain, item, review, metadata }) => {
        read++;
        if (writer.items.find(item) === undefined) writer.item(item, metadata, domain);
        if (split === 'test')
          writer.query({ id: String(writer.totals.queries), text: review, relevant: [{ item, grade: 1 }] });
      });
      step('pairs of the test split', read, writer.totals.queries);
    },
  };
}
