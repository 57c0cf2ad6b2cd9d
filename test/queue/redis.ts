import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { skipped } from '../skip.ts';

/** True where Debian's redis-server is installed; says so where it is not. */
export function hasRedis(what: string): boolean {
  const found = spawnSync('redis-server', ['--version']).status === 0;
  if (!found) skipped(`${what}: redis-server is not installed`);
  return found;
}

/** A Redis of a test's own, with a password and without persistence: a restart forgets everything. */
export class TestRedis {
  readonly url: string;
  readonly #port: number;
  #process: ChildProcess;

  static readonly password = 'pass-word-of-the-test';

  static async start(): Promise<TestRedis> {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    const redis = new TestRedis(port);
    await redis.#listening();
    return redis;
  }

  private constructor(port: number) {
    this.#port = port;
    this.url = `redis://:${TestRedis.password}@127.0.0.1:${port}`;
    this.#process = this.#spawn();
  }

  #spawn(): ChildProcess {
    const options = { port: this.#port, bind: '127.0.0.1', save: '', requirepass: TestRedis.password };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
    return spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  }

  async #listening(): Promise<void> {
    for await (const text of this.#process.stdout!.iterator({ destroyOnReturn: false }))
      if (String(text).includes('Ready to accept connections')) break;
    this.#process.stdout!.resume();
  }

  async kill(): Promise<void> {
    const gone = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGKILL');
    await gone;
  }

  async restart(): Promise<void> {
    this.#process = this.#spawn();
    await this.#listening();
  }
}
