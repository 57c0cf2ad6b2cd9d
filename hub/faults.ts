import { UserError } from '../common/errors.ts';
import type { HubAccess } from './access.ts';
import type { HubRepo } from './cache.ts';

/** The hub does not answer: no network, a wrong address, silence, or an answer that breaks off. */
export class HubUnreachable extends UserError {}

/** The hub answers, but with a refusal. */
export class HubRefusal extends UserError {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** @param error what `fetch`, or a body being read, failed with */
export function unreachable(endpoint: string, error: unknown): HubUnreachable {
  const { code, message } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
  const proxy = process.env.HTTPS_PROXY ?? process.env.https_proxy;
  const hint = proxy ? '; Node heeds HTTPS_PROXY from version 24 on, with NODE_USE_ENV_PROXY=1' : '';
  return new HubUnreachable(`${endpoint} cannot be reached (${code ?? message})${hint}`, { cause: error });
}

/** What an answer that is no success means, and what to do about it. */
export function refused(repo: HubRepo, { endpoint, token }: HubAccess, response: Response): HubRefusal {
  const { status, statusText, headers } = response;
  const said = headers.get('x-error-message') || statusText;
  const code = headers.get('x-error-code');
  const page = `${endpoint}/${repo.type === 'dataset' ? 'datasets/' : ''}${repo.name}`;
  const reason = (() => {
    if (code === 'GatedRepo') return `its owners ask for consent: give it on ${page}, then set HF_TOKEN`;
    if (code === 'RevisionNotFound') return `the hub knows no branch, tag or commit '${repo.revision}' of it`;
    if (code === 'EntryNotFound') return 'the hub knows no such file of it';
    if (status === 401 && token && code !== 'RepoNotFound')
      return 'the hub does not accept the token of HF_TOKEN (or of `hf auth login`)';
    if (status === 401 || status === 404)
      return token
        ? 'the hub knows no such repository, or does not show it to this token'
        : 'the hub knows no such repository, or it is private: then set HF_TOKEN';
    if (status === 429)
      return `the hub has had too many requests${token ? '' : '; set HF_TOKEN for wider limits'}, or go on later: what is here is kept`;
    return 'the hub refuses it';
  })();
  return new HubRefusal(
    `${repo.type} ${repo.name}: ${reason} (${status}${said ? `: ${said}` : ''}).`,
    status,
  );
}
