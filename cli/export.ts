import type { CommandModule } from 'yargs';
import { formatBytes } from '../common/bytes.ts';
import type { ConfigOptions } from '../configs/options.ts';
import type { Exported, ExportFormat } from '../data/export.ts';
import { jobsOf } from './job.ts';
import { configOptions, configurationOf, outputOptions, text } from './options.ts';
import { printResult } from './output.ts';

const jobs = jobsOf<typeof import('./jobs.ts')>(new URL('./jobs.ts', import.meta.url));

interface Arguments extends ConfigOptions {
  format: ExportFormat;
  out: string;
  json: boolean;
  quiet: boolean;
}

/** `rec data export`: a dataset in another layout, which `--dataset` reads again. */
export const exportCommand: CommandModule<object, Arguments> = {
  command: 'export',
  describe: "write a dataset as RecBole's files, Parquet, or the CSV files of Amazon Reviews 2023",
  builder: (yargs) =>
    yargs
      .options({
        format: {
          ...text('the layout to write'),
          choices: ['recbole', 'recbole-split', 'parquet', 'csv', 'csv-histories'],
          demandOption: true,
        },
        out: { ...text('the folder to write, a new one'), demandOption: true },
        ...configOptions,
        ...outputOptions,
      })
      .epilogue('To import such files, name their folder: rec data prepare --dataset FOLDER.') as never,
  async handler({ format, out, json, quiet, ...rest }) {
    const request = { options: configurationOf(rest), format, out };
    const exported = await jobs('exportFiles', request, quiet);
    printResult(exported, json, () => exportedAsText(exported));
  },
};

function exportedAsText({ folder, files, settings }: Exported): string {
  const set = settings.length ? ` --set ${settings.join(' ')}` : '';
  return [
    ...files.map(({ file, bytes }) => `${folder}/${file}  ${formatBytes(bytes)}`),
    `reads again as: rec data prepare --dataset ${folder}${set}`,
  ].join('\n');
}
