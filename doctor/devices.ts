import { messageOf } from '../common/errors.ts';
import type { Progress } from '../common/progress.ts';
import { deviceNames } from '../engine/index.ts';
import { examineDeviceApart } from '../training/device-check.ts';
import type { Finding } from './finding.ts';

/** Every device: whether it works, trains as 'cpu' does, and how fast its products are. */
export async function examineDevices(progress: Progress): Promise<Finding[]> {
  const findings: Finding[] = [];
  progress.begin('trying out', 'devices', deviceNames.length);
  for (const [i, name] of deviceNames.entries()) {
    findings.push(await examine(name));
    progress.advance(i + 1);
  }
  progress.end();
  return findings;
}

async function examine(name: string): Promise<Finding> {
  // Without the processor nothing works; the others are a choice.
  const worst = name === 'cpu' ? 'problem' : 'note';
  const what = `--device ${name}`;
  try {
    const { works, why, check } = await examineDeviceApart(name);
    if (!works) return { what, status: worst, found: 'does not work here', remedy: why };
    const { gflops, loss, gradient } = check!;
    const difference =
      name === 'cpu' ? '' : `, as cpu to within ${Math.max(loss, gradient).toExponential(0)}`;
    return { what, status: 'ok', found: `${why}: ${Math.round(gflops)} GFLOP/s${difference}` };
  } catch (error) {
    return { what, status: worst, found: messageOf(error), remedy: name === 'cpu' ? 'npm ci' : undefined };
  }
}
