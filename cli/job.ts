import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runJob } from '../common/job.ts';
import { interrupted, interruptible } from './interrupt.ts';
import { ProgressRenderer } from './progress.ts';

/**
 * Runs an exported function of a module (a URL) in a thread of its own, with its progress on standard error. A failure
 * or an interruption that leaves a checkpoint behind is followed by the command that resumes it.
 * @param resume the command that takes --resume
 */
export async function job(
  module: URL,
  exportName: string,
  argument: unknown,
  quiet: boolean,
  resume = 'rec run',
): Promise<unknown> {
  const renderer = new ProgressRenderer(process.stderr, quiet);
  let folder: string | undefined;
  const onEvent: Parameters<typeof runJob>[3]['onEvent'] = (event) => {
    if (event.kind === 'run') folder = event.folder;
    else renderer.handle(event);
  };
  try {
    return await interruptible(() => runJob(module, exportName, argument, { onEvent, signal: interrupted }));
  } catch (error) {
    renderer.close();
    if (folder && existsSync(join(folder, 'last.safetensors'))) {
      const path = /[^\w./-]/.test(folder) ? `'${folder}'` : folder;
      process.stderr.write(`resume with: ${resume} --resume ${path}\n`);
    }
    throw error;
  } finally {
    renderer.close();
  }
}
