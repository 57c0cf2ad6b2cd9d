import type { Progress } from '../common/progress.ts';
import { examineDevices } from './devices.ts';
import type { Section } from './finding.ts';
import { examineHub } from './hub.ts';
import { examineLibraries } from './libraries.ts';
import { examineMachine } from './machine.ts';

export type { Finding, Section } from './finding.ts';

/** What rec has to work with on this machine. @param runs where run folders would go */
export async function examineAll(runs: string, progress: Progress): Promise<Section[]> {
  return [
    { title: 'machine', findings: await examineMachine(runs) },
    { title: 'libraries', findings: await examineLibraries() },
    { title: 'devices', findings: await examineDevices(progress) },
    { title: 'hub', findings: await examineHub() },
  ];
}
