import { type HostTensor, type RandomInput, sizeOf } from './graph.ts';

/** Where a random draw stands: every mask is a function of (seed, step, stream, element), and of nothing else. */
export interface Randomness {
  seed: number;
  step: number;
  /** Which part of the step, where one function runs several times in it. */
  part?: number;
}

export const GOLDEN = 0x9e3779b9;

/**
 * A 32-bit hash of (key, counter), made of multiplications, additions and divisions by powers of two alone, so that
 * WebAssembly, JavaScript and a graph on a GPU (where ONNX has no unsigned xor) compute the same bits. The rounds are
 * RC6's permutation h(2h + 1), whose square does what xor is for elsewhere: multiplying by constants would leave
 * neighbours correlated. The key enters twice, so that two keys give two sequences, not two windows of one.
 */
export function hash32(key: number, counter: number): number {
  let h = (key + Math.imul(counter, GOLDEN)) >>> 0;
  h = Math.imul(h, 2 * h + 1) >>> 0;
  h = (h + (h >>> 16) + key) >>> 0;
  h = Math.imul(h, 2 * h + 1) >>> 0;
  return (h + (h >>> 16)) >>> 0;
}

/** The key of one stream at one step. Hashing, rather than adding, keeps streams apart at every distance of steps. */
export function streamKey({ seed, step, part = 0 }: Randomness, stream: number): number {
  const key = hash32(hash32(hash32(0x5eed, seed), step), stream);
  return part ? hash32(key, part) : key;
}

/** The parameters of a dropout mask: drop where hash < threshold, else multiply by scale = 1/(1-rate). */
export function dropoutParameters(rate: number): { threshold: number; scale: number } {
  return { threshold: Math.min(2 ** 32 - 1, Math.round(rate * 2 ** 32)), scale: Math.fround(1 / (1 - rate)) };
}

/** What tells the second hash of a pair of normal draws from the first. */
export const SECOND = 0xb0a;

/** Standard normal draws (Box-Muller over two hashes a pair), into `out`. */
export function fillNormal(out: Float32Array, key: number): void {
  const other = hash32(key, SECOND);
  for (let i = 0; i < out.length; i += 2) {
    const u = (hash32(key, i) + 1) / 2 ** 32; // in (0, 1]
    const radius = Math.sqrt(-2 * Math.log(u));
    const angle = (2 * Math.PI * hash32(other, i)) / 2 ** 32;
    out[i] = radius * Math.cos(angle);
    if (i + 1 < out.length) out[i + 1] = radius * Math.sin(angle);
  }
}

/** One random input's values, in plain JavaScript: what eager execution uses. */
export function drawRandom(
  input: Pick<RandomInput, 'kind' | 'shape' | 'rate' | 'stream'>,
  at: Randomness,
): HostTensor {
  const data = new Float32Array(sizeOf(input.shape));
  const key = streamKey(at, input.stream);
  if (input.kind === 'normal') fillNormal(data, key);
  else {
    const { threshold, scale } = dropoutParameters(input.rate);
    for (let i = 0; i < data.length; i++) data[i] = hash32(key, i) >= threshold ? scale : 0;
  }
  return { dtype: 'float32', shape: input.shape, data };
}
