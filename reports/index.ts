import { extname } from 'node:path';
import { UsageError } from '../common/errors.ts';
import { writeFileAtomic } from '../common/files.ts';
import type { Progress } from '../common/progress.ts';
import { reportAsCsv } from './csv.ts';
import { reportAsLatex } from './latex.ts';
import { reportAsMarkdown } from './markdown.ts';
import { makeReport, type Report, type ReportOptions } from './report.ts';

export type { Report, ReportOptions } from './report.ts';

const formats: Record<string, (report: Report) => string | Promise<string>> = {
  '.md': reportAsMarkdown,
  '.tex': reportAsLatex,
  '.csv': reportAsCsv,
  '.json': (report) => `${JSON.stringify(report, null, 2)}\n`,
  '.html': async (report) => (await import('./html.ts')).reportAsHtml(report),
};

/**
 * Makes a report and writes it into files, each in the format that its name ends with.
 * @throws UsageError for an ending that is no format's, before anything is read
 */
export async function writeReport(
  { out, ...options }: ReportOptions & { out: string[] },
  progress: Progress,
): Promise<Report> {
  for (const path of out)
    if (!(extname(path) in formats))
      throw new UsageError(
        `--out ${path}: the name must end with one of [${Object.keys(formats).join(', ')}]`,
      );
  const report = await makeReport(options, progress);
  for (const path of out) await writeFileAtomic(path, await formats[extname(path)](report));
  return report;
}
