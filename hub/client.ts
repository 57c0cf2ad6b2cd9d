import { dirname } from 'node:path';
import { UserError } from '../common/errors.ts';
import type { Progress } from '../common/progress.ts';
import type { HubAccess } from './access.ts';
import type { HubRepo } from './cache.ts';
import { type Answer, Requests } from './request.ts';

/** A file of a repository, as the hub describes it. */
export interface HubFile {
  path: string;
  /** bytes */
  size: number;
  /** SHA-256 of the bytes (64 digits), or git's SHA-1 of the blob (40) where git itself keeps the file. */
  hash: string;
}

interface Described {
  path: string;
  type: string;
  size: number;
  oid?: string;
  lfs?: { oid: string; size: number };
}

/** Both become names of files here. @throws UserError where they would lie outside of the cache. */
function asHubFile({ path, size, oid = '', lfs }: Described): HubFile {
  const file = { path, size: lfs?.size ?? size, hash: lfs?.oid ?? oid };
  if (
    path.split('/').some((part) => part === '..' || part === '') ||
    !/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(file.hash)
  )
    throw new UserError(`the hub describes a file in a way that cannot be used: ${JSON.stringify(file)}`);
  return file;
}

/** What is asked of the hub: with its official library, except for the bytes of files, which that neither resumes nor checks. */
export class HubClient {
  readonly requests: Requests;

  constructor(access: HubAccess, progress: Progress) {
    this.requests = new Requests(access, progress);
  }

  /** The commit that the repository's revision stands at. */
  async commit(repo: HubRepo): Promise<string> {
    const { datasetInfo, modelInfo } = await import('@huggingface/hub');
    const params = { ...this.#connection(repo), name: repo.name, revision: repo.revision };
    const info =
      repo.type === 'dataset'
        ? await datasetInfo({ ...params, additionalFields: ['sha'] })
        : await modelInfo({ ...params, additionalFields: ['sha'] });
    return info.sha;
  }

  /** The files of a commit with these paths, as far as there are any; '*' stands for any part of a file's name. */
  async files(repo: HubRepo, commit: string, patterns: readonly string[]): Promise<HubFile[]> {
    const { listFiles, pathsInfo } = await import('@huggingface/hub');
    const params = {
      ...this.#connection(repo),
      repo: { type: repo.type, name: repo.name },
      revision: commit,
    };
    const paths = patterns.filter((pattern) => !pattern.includes('*'));
    const found = paths.length ? (await pathsInfo({ ...params, paths })).map(asHubFile) : [];
    for (const pattern of patterns.filter((pattern) => pattern.includes('*'))) {
      const path = dirname(pattern) === '.' ? undefined : dirname(pattern);
      for await (const entry of listFiles({ ...params, path }))
        if (entry.type === 'file' && matches(entry.path, pattern)) found.push(asHubFile(entry));
    }
    return found;
  }

  /** The bytes of a file from `from` on. */
  bytes(repo: HubRepo, commit: string, { path }: HubFile, from: number): Promise<Answer> {
    const { endpoint } = this.requests.access;
    const kind = repo.type === 'dataset' ? 'datasets/' : '';
    const file = path.split('/').map(encodeURIComponent).join('/');
    const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
    return this.requests.send(repo, `${endpoint}/${kind}${repo.name}/resolve/${commit}/${file}`, { headers });
  }

  /** Leads the library's requests through ours; their answers are short, and read to the end. */
  #connection(repo: HubRepo) {
    return {
      hubUrl: this.requests.access.endpoint,
      fetch: async (url: string | URL | Request, init?: RequestInit) => {
        const { response, body } = await this.requests.send(repo, String(url), init);
        const chunks: Uint8Array[] = [];
        for await (const chunk of body()) chunks.push(chunk);
        const type = response.headers.get('content-type');
        if (!type?.startsWith('application/json'))
          throw new UserError(
            `${response.url} does not answer as the hub does (${type}): is there a login page or a proxy in between?`,
          );
        return new Response(Buffer.concat(chunks), response);
      },
    };
  }
}

/** True where a path is the pattern, '*' standing for anything but '/'. */
export function matches(path: string, pattern: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^/]*')}$`).test(path);
}
