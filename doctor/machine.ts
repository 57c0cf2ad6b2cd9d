import { statfs } from 'node:fs/promises';
import { availableParallelism, cpus, freemem, release, totalmem } from 'node:os';
import { formatBytes } from '../common/bytes.ts';
import { messageOf } from '../common/errors.ts';
import { cacheFolder, ensureWritableFolder } from '../common/files.ts';
import { packageManifest } from '../common/package.ts';
import { cpuFeatures } from '../training/environment.ts';
import type { Finding } from './finding.ts';

const GB = 1e9;
/** Less is told: preparing and training medium datasets takes as much. */
const LITTLE_MEMORY = 4 * GB;
const LITTLE_DISK = 5 * GB;

/** Node, processor, memory, and the disks that results and the cache go to. */
export async function examineMachine(runs: string): Promise<Finding[]> {
  return [
    examineNode(),
    { what: 'system', status: 'ok', found: `${process.platform} ${release()} ${process.arch}` },
    examineProcessor(),
    examineMemory(),
    await examineFolder('cache', cacheFolder(), 'set REC_CACHE to a folder that can be written'),
    await examineFolder('runs', runs, 'give --runs a folder that can be written'),
  ];
}

function examineNode(): Finding {
  const least = packageManifest().engines.node.replace(/^>=/, '');
  const [have, need] = [process.versions.node, least].map((version) => version.split('.').map(Number));
  const old = have[0] < need[0] || (have[0] === need[0] && have[1] < need[1]);
  return old
    ? {
        what: 'node',
        status: 'problem',
        found: process.version,
        remedy: `install Node.js ${least} or later: https://nodejs.org`,
      }
    : { what: 'node', status: 'ok', found: process.version };
}

function examineProcessor(): Finding {
  const features = cpuFeatures() ?? [];
  const telling = ['avx', 'avx2', 'fma', 'avx512f', 'avx512_vnni', 'asimd', 'sve'].filter((name) =>
    features.includes(name),
  );
  const cores = `${availableParallelism()} of ${cpus().length} cores`;
  return {
    what: 'processor',
    status: 'ok',
    found: [cpus()[0]?.model.trim() ?? 'unknown', cores, ...(telling.length ? [telling.join(' ')] : [])].join(
      ', ',
    ),
  };
}

function examineMemory(): Finding {
  const total = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  const found = `${formatBytes(total)}, ${formatBytes(Math.min(total, freemem()))} free`;
  return total < LITTLE_MEMORY
    ? {
        what: 'memory',
        status: 'note',
        found,
        remedy: 'little: lower train.batchSize and data.memoryGB where a run is killed',
      }
    : { what: 'memory', status: 'ok', found };
}

/** Whether a folder can be written, and how much still fits. */
async function examineFolder(what: string, path: string, remedy: string): Promise<Finding> {
  try {
    await ensureWritableFolder(path);
  } catch (error) {
    return { what, status: 'problem', found: messageOf(error), remedy };
  }
  const { bavail, bsize } = await statfs(path);
  const found = `${path}, ${formatBytes(bavail * bsize)} free`;
  return bavail * bsize < LITTLE_DISK
    ? { what, status: 'note', found, remedy }
    : { what, status: 'ok', found };
}
