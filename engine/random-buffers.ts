import { type HostTensor, type RandomInput, sizeOf } from './graph.ts';
import { drawRandom, dropoutParameters, fillNormal, type Randomness, streamKey } from './random.ts';
import { type Arena, createArena } from './wasm/kernels.ts';

/** Memory for the random inputs of one session, filled before every run. */
export class RandomBuffers {
  readonly feeds: Record<string, HostTensor> = {};
  readonly #inputs: { input: RandomInput; data: Float32Array; length: number }[] = [];
  readonly #arena: Arena;

  constructor(inputs: readonly RandomInput[]) {
    const lengths = inputs.map((input) => Math.ceil(sizeOf(input.shape) / 4) * 4);
    this.#arena = createArena(4 * lengths.reduce((a, b) => a + b, 0));
    let offset = 0;
    inputs.forEach((input, i) => {
      const data = new Float32Array(this.#arena.buffer, offset, sizeOf(input.shape));
      this.#inputs.push({ input, data, length: lengths[i] });
      this.feeds[input.name] = { dtype: 'float32', shape: input.shape, data };
      offset += 4 * lengths[i];
    });
  }

  fill(at: Randomness): void {
    for (const { input, data, length } of this.#inputs) {
      const key = streamKey(at, input.stream);
      if (input.kind === 'normal') fillNormal(data, key);
      else {
        const { threshold, scale } = dropoutParameters(input.rate);
        this.#arena.kernels.dropoutMask(data.byteOffset, length, key, threshold, scale);
      }
    }
  }
}

let scratch: Arena | undefined;

/** What `drawRandom` gives, faster, in an array of its own. */
export function drawQuickly(input: Omit<RandomInput, 'name'>, at: Randomness): HostTensor {
  if (input.kind === 'normal') return drawRandom(input, at);
  const size = sizeOf(input.shape);
  const length = Math.ceil(size / 4) * 4;
  if (!scratch || scratch.buffer.byteLength < 4 * length) scratch = createArena(4 * length);
  const { threshold, scale } = dropoutParameters(input.rate);
  scratch.kernels.dropoutMask(0, length, streamKey(at, input.stream), threshold, scale);
  return { dtype: 'float32', shape: input.shape, data: new Float32Array(scratch.buffer, 0, size).slice() };
}
