import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { AskedProcess } from './process.ts';

/** A Python that has PyTorch. */
export interface Torch {
  python: string;
  version: string;
  /** Whether it sees a card. */
  cuda: boolean;
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
    ['-c', 'import torch; print(torch.__version__, torch.cuda.is_available())'],
    {
      encoding: 'utf8',
    },
  );
  if (status === 0) {
    const [version, cuda] = stdout.trim().split(' ');
    return { python, version, cuda: cuda === 'True' };
  }
  if (asked) throw new Error(`REC_PYTHON=${asked} cannot import torch: ${error?.message ?? stderr.trim()}`);
  return undefined;
}

/** A Python script beside this file that answers every line of JSON with one: it works only while it is asked. */
export class TorchProcess extends AskedProcess {
  constructor({ python }: Torch, script: string, spec: object) {
    super(python, [fileURLToPath(new URL(script, import.meta.url)), JSON.stringify(spec)]);
  }
}
