import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { packageFolder, packageManifest } from '../common/package.ts';

/** What a run ran on, written as environment.json: all that decides the last bits of its numbers, besides its recipe. */
export interface Environment {
  rec: string;
  /** Of the checkout that rec runs from, `diff` a hash of its uncommitted changes; undefined for an installed package. */
  git?: { commit: string; changed: string[]; diff?: string };
  node: string;
  /** Versions of the libraries that rec is built on. */
  libraries: Record<string, string>;
  platform: string;
  cpu: string | undefined;
  /** Instruction sets that decide which kernels run; undefined where the system does not say. */
  cpuFeatures?: string[];
  cores: number;
  memoryMb: number;
  device: string;
  /** Threads of the CPU device. */
  threads: number;
  /** Whether they keep their cores busy where they wait. */
  spinning: boolean;
}

/** @param threads those in effect, not 0 */
export function environmentOf({
  device,
  threads,
  spinning,
}: Pick<Environment, 'device' | 'threads' | 'spinning'>): Environment {
  const { version, dependencies } = packageManifest();
  return {
    rec: version,
    git: gitState(packageFolder),
    node: process.version,
    libraries: dependencies,
    platform: `${platform()} ${release()} ${arch()}`,
    cpu: cpus()[0]?.model,
    cpuFeatures: cpuFeatures(),
    cores: cpus().length,
    memoryMb: Math.round(totalmem() / 2 ** 20),
    device,
    threads,
    spinning,
  };
}

/** The keys that decide the last bits of numbers; two environments that agree in these give the same ones. */
const decisive = ['rec', 'git', 'node', 'libraries', 'cpu', 'cpuFeatures', 'device', 'threads'] as const;

/** What differs between two environments, of all that decides the last bits of numbers. */
export function environmentChanges(before: Partial<Environment>, now: Environment): string[] {
  return decisive.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(now[key]));
}

/** The state of the checkout that a folder is the root of. */
export function gitState(folder: string): Environment['git'] {
  // An installed package may lie in someone else's repository, whose state says nothing of it.
  if (!existsSync(join(folder, '.git'))) return undefined;
  try {
    const git = (...args: string[]) =>
      execFileSync('git', ['-C', folder, ...args], {
        encoding: 'utf8',
        timeout: 5000,
        maxBuffer: 2 ** 28,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    const changed = git('status', '--porcelain').split('\n').filter(Boolean);
    return {
      commit: git('rev-parse', 'HEAD').trim(),
      changed: changed.map((line) => line.slice(3)),
      diff: changed.length ? createHash('sha256').update(git('diff', 'HEAD')).digest('hex') : undefined,
    };
  } catch {
    return undefined;
  }
}

/** SIMD extensions, as Linux names them; other systems have no file to read them from. */
export function cpuFeatures(): string[] | undefined {
  if (!existsSync('/proc/cpuinfo')) return undefined;
  const line = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
  const simd = /^(sse|ssse|avx|fma|f16c|amx|neon|asimd|sve|bf16|i8mm)/;
  return line
    .trim()
    .split(/\s+/)
    .filter((name) => simd.test(name))
    .sort();
}
