import { reportAsText } from '../reports/text.ts';
import { command } from './command.ts';
import { jobsOf } from './job.ts';
import { outputOptions, text, texts } from './options.ts';
import { printResult } from './output.ts';
import { paint } from './style.ts';

const jobs = jobsOf<typeof import('../reports/index.ts')>(new URL('../reports/index.ts', import.meta.url));

/** `rec report RUNS...`: runs in one table, seeds put together, differences tested. */
export const report = command({
  command: 'report <runs..>',
  describe: 'compare runs: a table over seeds and datasets, with tests, costs and curves',
  builder: (yargs) =>
    yargs
      .positional('runs', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'run folders, or folders of runs',
      })
      .options({
        out: texts('write the report to this file too: .html, .md, .tex, .csv or .json'),
        baseline: texts('compare with this system (a name of the table), or all of this model; repeatable'),
        metrics: text('figures of the table, as recall@10,ndcg@10 [default: recall and NDCG at each k]'),
        seen: {
          choices: ['kept', 'filtered'] as const,
          describe: "whether items of a row's own history compete [default: as in the runs]",
        },
        ...outputOptions,
      })
      .example('$0 report runs --out paper.tex --out report.html', ''),
  async handler({ runs, out, baseline, metrics, seen, json, quiet }) {
    const options = { paths: runs, out, baselines: baseline, metrics: metrics?.split(','), seen };
    const result = await jobs('writeReport', options, quiet);
    const bold = (words: string) => paint(process.stdout, 'bold', words);
    printResult(result, json, () => reportAsText(result, { width: process.stdout.columns ?? 120, bold }));
  },
});
