import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../common/errors.ts';

/** How the hub is spoken to: as the environment says, in the variables that Python's huggingface_hub reads. */
export interface HubAccess {
  /** $HF_ENDPOINT, a mirror, else https://huggingface.co. */
  endpoint: string;
  /** $HF_TOKEN, else what `hf auth login` left in $HF_HOME/token. */
  token?: string;
  /** $HF_HUB_DOWNLOAD_TIMEOUT: for how long the hub may be silent, in seconds. */
  timeout: number;
  /** The wait before a second try, in seconds; it doubles from try to try. */
  pause: number;
}

/** True where $HF_HUB_OFFLINE forbids asking the hub. */
export function hubIsOffline(): boolean {
  return /^(1|on|yes|true)$/i.test(process.env.HF_HUB_OFFLINE ?? '');
}

/** @throws UsageError for an environment that cannot be meant. */
export function hubAccess(): HubAccess {
  const { HF_TOKEN, HF_HUB_DOWNLOAD_TIMEOUT } = process.env;
  const endpoint = (process.env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '');
  if (!/^https?:\/\//.test(endpoint) || !URL.canParse(endpoint))
    throw new UsageError(`HF_ENDPOINT must be an address like https://huggingface.co, got '${endpoint}'`);
  const timeout = Number(HF_HUB_DOWNLOAD_TIMEOUT || 30);
  if (!(timeout > 0))
    throw new UsageError(
      `HF_HUB_DOWNLOAD_TIMEOUT must be a number of seconds, got '${HF_HUB_DOWNLOAD_TIMEOUT}'`,
    );
  return { endpoint, token: HF_TOKEN?.trim() || storedToken(), timeout, pause: 1 };
}

/** The folder of everything that belongs to the hub: cache and token. */
export function hubHome(): string {
  const { HF_HOME, XDG_CACHE_HOME } = process.env;
  return expandHome(HF_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface'));
}

export function expandHome(path: string): string {
  return path.replace(/^~(?=\/|$)/, homedir());
}

function storedToken(): string | undefined {
  const path = expandHome(process.env.HF_TOKEN_PATH || join(hubHome(), 'token'));
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
