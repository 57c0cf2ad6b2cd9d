import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { messageOf } from '../common/errors.ts';
import { hubAccess, hubIsOffline } from '../hub/access.ts';
import { hubCache } from '../hub/index.ts';
import type { Finding } from './finding.ts';

const PATIENCE = 5000;

/** The hub's cache, and whether the hub can be reached. */
export async function examineHub(): Promise<Finding[]> {
  return [await examineCache(), await examineReach()];
}

async function examineCache(): Promise<Finding> {
  const folder = hubCache();
  const names = existsSync(folder) ? await readdir(folder) : [];
  const repositories = names.filter((name) => /^(model|dataset)s--/.test(name)).length;
  return { what: 'hub cache', status: 'ok', found: `${folder}, ${repositories} repositories` };
}

async function examineReach(): Promise<Finding> {
  const what = 'hub';
  const remedy = 'only downloads need it; behind a mirror set HF_ENDPOINT';
  if (hubIsOffline()) return { what, status: 'note', found: 'HF_HUB_OFFLINE is set: nothing is downloaded' };
  try {
    const { endpoint, token } = hubAccess();
    const { status } = await fetch(endpoint, { method: 'HEAD', signal: AbortSignal.timeout(PATIENCE) });
    const found = `${endpoint} answers${token ? ', with a token' : ', without a token'}`;
    return status < 500
      ? { what, status: 'ok', found }
      : { what, status: 'note', found: `${endpoint} answers ${status}`, remedy };
  } catch (error) {
    const cause = error instanceof Error && error.cause ? error.cause : error;
    return { what, status: 'note', found: `not reached: ${messageOf(cause)}`, remedy };
  }
}
