import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Progress } from '../../common/progress.ts';
import { loadTask } from '../../search/load.ts';
import { poolSettings } from '../../search/settings.ts';
import type { SearchTask } from '../../search/task.ts';

/** A folder of its own for a test file, whose cache it also is. */
export function testFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rec-search-'));
  process.env.REC_CACHE = join(folder, 'cache');
  return folder;
}

/** Writes files into a new folder; values that are no strings become JSON Lines. */
export function writeFolder(parent: string, name: string, files: Record<string, string | object[]>): string {
  const folder = join(parent, name);
  mkdirSync(folder, { recursive: true });
  for (const [file, content] of Object.entries(files))
    writeFileSync(
      join(folder, file),
      typeof content === 'string' ? content : content.map((row) => `${JSON.stringify(row)}\n`).join(''),
    );
  return folder;
}

/** The task of a folder, and the warnings and notes of reading it. */
export async function load(
  path: string,
  settings: Record<string, unknown> = {},
): Promise<{ task: SearchTask; said: string[] }> {
  const said: string[] = [];
  const progress = new Progress((event) => {
    if (event.kind === 'warning' || event.kind === 'note') said.push(event.text);
  });
  const task = await loadTask({ name: 'test', path }, poolSettings.parse(settings), { progress, seed: 1 });
  return { task, said };
}
