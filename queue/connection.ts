import { Redis } from 'ioredis';
import { UsageError, UserError } from '../common/errors.ts';

/** A connection to Redis that is waited for, at first and whenever it is lost. */
export interface Connection {
  client: Redis;
  /** The server has been reached, and has taken the credentials. */
  ready: Promise<void>;
  /** Rejects where waiting is no use: the server refuses the credentials. */
  refused: Promise<never>;
  close(): void;
}

/** The name of the queue in Redis: workers of one database serve all who use it. */
export const QUEUE_NAME = 'rec';

/**
 * @param url redis://[user:password@]host[:port][/database], or rediss:// for TLS; a password that others should not
 *   see in the list of processes may be in $REDISCLI_AUTH instead
 * @param say told when the server is gone, and when it is back; never told credentials
 */
export function connect(url: string, say: (text: string) => void): Connection {
  const { hostname, port, username, password, pathname, protocol } = parse(url);
  const client = new Redis({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 6379),
    username: decodeURIComponent(username) || undefined,
    password: decodeURIComponent(password) || process.env.REDISCLI_AUTH,
    db: Number(pathname.slice(1)),
    tls: protocol === 'rediss:' ? {} : undefined,
    keepAlive: 10_000,
    // A command waits for the connection for as long as it takes.
    maxRetriesPerRequest: null,
    retryStrategy: (times) => Math.min(5000, 200 * times),
  });
  let gone = false;
  const refused = new Promise<never>((_, reject) => {
    client.on('error', (error: NodeJS.ErrnoException) => {
      if (/WRONGPASS|NOAUTH|NOPERM|invalid password/i.test(error.message)) {
        client.disconnect();
        reject(new UserError(`${withoutCredentials(url)}: the server refuses the credentials`));
      } else if (!gone) {
        gone = true;
        say(`${withoutCredentials(url)} is out of reach (${error.code ?? error.message}): waiting for it`);
      }
    });
  });
  refused.catch(() => {});
  const ready = new Promise<void>((resolve) => {
    client.on('ready', () => {
      if (gone) say(`${withoutCredentials(url)} is back`);
      gone = false;
      resolve();
    });
  });
  return { client, ready, refused, close: () => client.disconnect() };
}

/** The URL as it may be shown and written down. */
export function withoutCredentials(url: string): string {
  const parsed = parse(url);
  parsed.username = '';
  parsed.password = '';
  return parsed.href;
}

function parse(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed && /^rediss?:$/.test(parsed.protocol) && parsed.hostname && /^(\/\d*)?$/.test(parsed.pathname))
    return parsed;
  // What was given may hold a password: it is not repeated.
  throw new UsageError(
    '--queue must be redis://[user:password@]host[:port][/database], or rediss:// for TLS',
  );
}
