import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A Python that has PyTorch. */
export interface Torch {
  python: string;
  version: string;
}

export const TORCH_MISSING =
  'PyTorch is not at hand: its columns are left out. To have them: ' +
  'python3 -m venv V && V/bin/pip install torch && REC_PYTHON=V/bin/python npm run bench';

/**
 * PyTorch in `$REC_PYTHON`, or in python3; undefined where python3 has none.
 * @throws where `$REC_PYTHON` is set and has none
 */
export function findTorch(): Torch | undefined {
  const asked = process.env.REC_PYTHON;
  const python = asked ?? 'python3';
  const { status, stdout, stderr, error } = spawnSync(
    python,
    ['-c', 'import torch; print(torch.__version__)'],
    {
      encoding: 'utf8',
    },
  );
  if (status === 0) return { python, version: stdout.trim() };
  if (asked) throw new Error(`REC_PYTHON=${asked} cannot import torch: ${error?.message ?? stderr.trim()}`);
  return undefined;
}

/** A Python script beside this file that answers every line of JSON with one: it works only while it is asked. */
export class TorchProcess {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor({ python }: Torch, script: string, spec: object) {
    const path = fileURLToPath(new URL(script, import.meta.url));
    this.#child = spawn(python, [path, JSON.stringify(spec)], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#answers = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async ask<Answer>(command: object): Promise<Answer> {
    this.#child.stdin!.write(`${JSON.stringify(command)}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error('the PyTorch process ended without an answer; its message is above');
    return JSON.parse(value) as Answer;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin!.end();
    await ended;
  }
}
