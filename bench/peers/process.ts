import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A process that answers every line of JSON with one: it works only while it is asked. */
export class AskedProcess {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor(command: string, args: readonly string[], environment: Record<string, string> = {}) {
    const env = { ...process.env, ...environment };
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env });
    this.#answers = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  ask<Answer>(command: object): Promise<Answer> {
    this.#child.stdin!.write(`${JSON.stringify(command)}\n`);
    return this.next();
  }

  /** What the process says without being asked. */
  async next<Answer>(): Promise<Answer> {
    const { value, done } = await this.#answers.next();
    if (done) throw new Error('a measured process ended without an answer; its message is above');
    return JSON.parse(value) as Answer;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin!.end();
    await ended;
  }
}

/** The Python of `$REC_PYTHON`, else python3, where it has a module. */
export function pythonHaving(module: string): string | undefined {
  const python = process.env.REC_PYTHON || 'python3';
  return spawnSync(python, ['-c', `import ${module}`]).status === 0 ? python : undefined;
}
