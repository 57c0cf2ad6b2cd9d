import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { UsageError } from '../common/errors.ts';
import { replaceAtomically } from '../common/files.ts';
import type { Progress } from '../common/progress.ts';
import { Database } from './database.ts';
import type { ExportFormat } from './export-formats.ts';
import { writeInteractions } from './export-interactions.ts';
import { writeSplitRows } from './export-split.ts';
import { loadDataset } from './index.ts';
import { layoutOf } from './layouts.ts';
import type { DataSettings } from './settings.ts';
import type { DatasetSource } from './sources.ts';
import { BadRows } from './table.ts';

/** What was written. */
export interface Exported {
  format: ExportFormat;
  folder: string;
  files: { file: string; bytes: number }[];
  /** Settings that make the same dataset of it again. */
  settings: string[];
}

/**
 * Writes a dataset in another layout. Repeats and what the k-core drops are left out; what is dropped after the split
 * (items without metadata, empty histories) is not, so that preparing the files with the same settings gives the same
 * dataset. The layout with histories of RecBole has the rows as they are prepared.
 * @throws UsageError where the folder is in use or the source lacks what the layout needs
 */
export async function exportDataset(
  source: DatasetSource,
  settings: DataSettings,
  {
    format,
    folder,
    seed,
    progress,
  }: { format: ExportFormat; folder: string; seed: number; progress: Progress },
): Promise<Exported> {
  const path = resolve(folder);
  if (existsSync(path) && readdirSync(path).length)
    throw new UsageError(`${folder}: there is something already; name a new folder.`);
  const name = source.name.replace(/[^\w-]+/g, '_');
  if (format === 'recbole-split') {
    const dataset = await loadDataset(source, settings, { progress, seed });
    await replaceAtomically(path, (temporary) => writeSplitRows(dataset, temporary, name));
  } else {
    // Ties stand in the order of the files, which the files that are written keep.
    const inOrder: DataSettings = { ...settings, ties: 'file' };
    await replaceAtomically(path, async (temporary) => {
      await mkdir(temporary, { recursive: true });
      const layout = await layoutOf(source, progress);
      if (layout.split && format !== 'csv-histories')
        progress.warning(
          `${format} holds no split, so that of the files is left out; csv-histories holds it`,
        );
      const bad = new BadRows(settings.strict);
      const options = {
        memoryGB: settings.memoryGB,
        spillFolder: join(settings.tempFolder ?? temporary, 'spill'),
        progress,
      };
      await Database.with(options, async (database) => {
        const reading = (await layout.readInteractions?.()) ?? (await layout.read(inOrder, bad, progress));
        const context = { folder: temporary, database, settings: inOrder, seed, bad, progress };
        await writeInteractions(reading, context, format, name);
      });
      if (bad.total) progress.warning(`${bad.total} rows could not be read and are left out`);
    });
  }
  const files: Exported['files'] = [];
  for (const file of (await readdir(path)).sort())
    files.push({ file, bytes: (await stat(join(path, file))).size });
  return { format, folder, files, settings: settingsFor(format, settings) };
}

/** What `--set` must say for the same dataset, a folder having no settings of its own. */
function settingsFor(format: ExportFormat, { split, timestamps, text, ties }: DataSettings): string[] {
  if (format === 'recbole-split') return [];
  const inFiles = format === 'csv-histories';
  return [
    ...(split === 'timestamp' && !inFiles ? ['data.split=timestamp', `data.timestamps=${timestamps}`] : []),
    ...(text === 'recommendation' ? [] : [`data.text=${text}`]),
    ...(ties === 'random' && !inFiles ? ['data.ties=random'] : []),
  ];
}
