import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder that this package lies in. */
export const packageFolder: string = fileURLToPath(new URL('..', import.meta.url));

/** What package.json says of this package; its dependencies are pinned to exact versions. */
export function packageManifest(): {
  version: string;
  engines: { node: string };
  dependencies: Record<string, string>;
} {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
}
