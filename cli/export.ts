import { formatBytes } from '../common/bytes.ts';
import type { Exported } from '../data/export.ts';
import { type ExportFormat, exportFormats } from '../data/export-formats.ts';
import { command } from './command.ts';
import { jobsOf } from './job.ts';
import { configOptions, configurationOf, outputOptions, text } from './options.ts';
import { printResult } from './output.ts';

const jobs = jobsOf<typeof import('./jobs.ts')>(new URL('./jobs.ts', import.meta.url));

/** `rec data export`: a dataset in another layout, which `--dataset` reads again. */
export const exportCommand = command({
  command: 'export',
  describe: "write a dataset as RecBole's files, Parquet, or the CSV files of Amazon Reviews 2023",
  builder: (yargs) =>
    yargs
      .options({
        format: {
          ...text('the layout to write'),
          choices: Object.keys(exportFormats) as ExportFormat[],
          demandOption: true,
        },
        out: { ...text('the folder to write, a new one'), demandOption: true },
        ...configOptions,
        ...outputOptions,
      })
      .epilogue('To import such files, name their folder: rec data prepare --dataset FOLDER.'),
  async handler({ format, out, json, quiet, ...rest }) {
    const request = { options: configurationOf(rest), format, out };
    const exported = await jobs('exportFiles', request, quiet);
    printResult(exported, json, () => exportedAsText(exported));
  },
});

function exportedAsText({ folder, files, settings }: Exported): string {
  const set = settings.length ? ` --set ${settings.join(' ')}` : '';
  return [
    ...files.map(({ file, bytes }) => `${folder}/${file}  ${formatBytes(bytes)}`),
    `reads again as: rec data prepare --dataset ${folder}${set}`,
  ].join('\n');
}
