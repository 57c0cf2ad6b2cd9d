import { readFileSync } from 'node:fs';
import { fallbackKernels } from './fallback.ts';

/** Array kernels over one memory. Offsets are in bytes (multiples of 16), lengths in elements (multiples of 4). */
export interface Kernels {
  /** Adam with decoupled weight decay, in place; lrT and epsT carry the bias correction, keep = 1 - lr x decay. */
  adam(
    p: number,
    m: number,
    v: number,
    g: number,
    n: number,
    lrT: number,
    epsT: number,
    beta1: number,
    beta2: number,
    keep: number,
  ): void;
  sumSquares(x: number, n: number): number;
  scale(x: number, n: number, factor: number): void;
  dropoutMask(out: number, n: number, key: number, threshold: number, scale: number): void;
}

/** Memory that both the host and the kernels see. */
export interface Arena {
  buffer: ArrayBuffer;
  kernels: Kernels;
}

const PAGE = 65536;
/** Largest arena: WebAssembly's 32-bit addresses end at 4 GiB, V8's buffers may end earlier. */
export const ARENA_LIMIT_BYTES = 2 ** 31;

let compiled: WebAssembly.Module | null | undefined;

function simdModule(): WebAssembly.Module | null {
  if (compiled !== undefined) return compiled;
  try {
    compiled = new WebAssembly.Module(readFileSync(new URL('./kernels.wasm', import.meta.url)));
  } catch (error) {
    // A runtime without SIMD refuses the module; the JavaScript kernels give the same numbers, slower.
    if (!(error instanceof WebAssembly.CompileError)) throw error;
    compiled = null;
  }
  return compiled;
}

/** A zeroed arena of at least `bytes`. `simd: false` takes the JavaScript kernels. */
export function createArena(bytes: number, { simd = true } = {}): Arena {
  if (bytes > ARENA_LIMIT_BYTES)
    throw new RangeError(`an arena holds at most ${ARENA_LIMIT_BYTES} bytes, ${bytes} were asked for`);
  const module = simd ? simdModule() : null;
  if (!module) {
    const buffer = new ArrayBuffer(Math.ceil(bytes / 16) * 16);
    return { buffer, kernels: fallbackKernels(buffer) };
  }
  const pages = Math.max(1, Math.ceil(bytes / PAGE));
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  return { buffer: memory.buffer, kernels: instance.exports as unknown as Kernels };
}
