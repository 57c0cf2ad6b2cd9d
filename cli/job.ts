import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../common/errors.ts';
import { runJob } from '../common/job.ts';
import type { Progress } from '../common/progress.ts';
import { interrupted, interruptible } from './interrupt.ts';
import { ProgressRenderer } from './progress.ts';

type Job = (argument: never, progress: Progress) => Promise<unknown>;
/** The exported functions of a module that a thread can run. */
type Jobs<Module> = {
  [Name in keyof Module & string as Module[Name] extends Job ? Name : never]: Extract<Module[Name], Job>;
};

/**
 * Runs a module's exported functions by name, each in a thread of its own, which alone imports the module: here it is
 * a URL and its type. Progress goes to standard error. A failure or an interruption that leaves a checkpoint behind is
 * followed by the command that resumes it.
 * @param resume the command that takes --resume
 */
export function jobsOf<Module>(module: URL, resume = 'rec run') {
  return async <Name extends keyof Jobs<Module>>(
    name: Name,
    argument: Parameters<Jobs<Module>[Name]>[0],
    quiet: boolean,
  ): Promise<Awaited<ReturnType<Jobs<Module>[Name]>>> => {
    const renderer = new ProgressRenderer(process.stderr, quiet);
    let folder: string | undefined;
    const onEvent: Parameters<typeof runJob>[3]['onEvent'] = (event) => {
      if (event.kind === 'run') folder = event.folder;
      else renderer.handle(event);
    };
    try {
      const result = await interruptible(() =>
        runJob(module, name, argument, { onEvent, signal: interrupted }),
      );
      return result as Awaited<ReturnType<Jobs<Module>[Name]>>;
    } catch (error) {
      renderer.close();
      // A full disk may leave no checkpoint; with space made, the run goes on all the same.
      const full = messageOf(error).endsWith('(ENOSPC)');
      if (folder && (full || existsSync(join(folder, 'last.safetensors')))) {
        const path = /[^\w./-]/.test(folder) ? `'${folder}'` : folder;
        process.stderr.write(`resume with: ${resume} --resume ${path}\n`);
      }
      throw error;
    } finally {
      renderer.close();
    }
  };
}
