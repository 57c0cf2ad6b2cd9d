import { formatBytes } from '../common/bytes.ts';
import { UsageError } from '../common/errors.ts';
import type { HubDownload } from '../hub/index.ts';
import { command } from './command.ts';
import { jobsOf } from './job.ts';
import { outputOptions, text } from './options.ts';
import { printResult } from './output.ts';
import { table } from './style.ts';

const jobs = jobsOf<typeof import('./jobs.ts')>(new URL('./jobs.ts', import.meta.url));

/** What `rec data download` is to fetch. */
export interface DownloadRequest {
  dataset?: string;
  encoder?: string;
  /** Paths in the dataset's repository, in place of the files that preparation reads. */
  files?: string[];
  dryRun: boolean;
}

/** `rec data download`: files of the Hugging Face hub into its cache, which Python shares. */
export const download = command({
  command: 'download',
  describe: "fetch a dataset's files or an encoder's weights from the Hugging Face hub",
  builder: (yargs) =>
    yargs
      .options({
        dataset: text('a name from `rec datasets`, or org/name of any repository of datasets on the hub'),
        encoder: text('a name from `rec encoders`, or roberta:org/name'),
        file: {
          ...text("a file of the dataset's repository, '*' for any part of its name; may be given again"),
          array: true,
        },
        'dry-run': { type: 'boolean', default: false, describe: 'say what and how large, fetch nothing' },
        ...outputOptions,
      })
      .example('$0 data download --dataset All_Beauty --encoder blair-base', '')
      .example("$0 data download --dataset games --file 'benchmark/5core/last_out_w_his/Video_Games.*'", '')
      .epilogue(
        'HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE mean what they mean to Python. A download that was stopped goes on where it ended.',
      ),
  async handler({ dataset, encoder, file, 'dry-run': dryRun, json, quiet }) {
    if (dataset === undefined && encoder === undefined)
      throw new UsageError('what is to be downloaded? Give --dataset, --encoder or both.');
    if (file && dataset === undefined)
      throw new UsageError('--file names a file of a dataset: give --dataset too.');
    const request: DownloadRequest = { dataset, encoder, files: file, dryRun };
    const files = await jobs('downloadFiles', request, quiet);
    printResult({ files }, json, () => filesAsText(files, dryRun));
  },
});

function filesAsText(files: readonly HubDownload[], dryRun: boolean): string {
  const state = (here: boolean) => (here ? 'was here' : dryRun ? 'not here' : 'downloaded');
  return table(
    ['file', 'size', '', 'path'],
    files.map(({ file, bytes, path, here }) => [file, formatBytes(bytes), state(here), path]),
  );
}
