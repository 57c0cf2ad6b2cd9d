import { ARRAYS, type HostArray, type HostTensor, type Spec, sizeOf } from './graph.ts';

const ALIGNMENT = 64;

/** Tensors side by side in one buffer, which threads hand to each other without copying it. */
export class Parcel {
  readonly bytes: number;
  readonly #places: { name: string; spec: Spec; offset: number }[];

  constructor(contents: readonly (readonly [name: string, spec: Spec])[]) {
    let offset = 0;
    this.#places = contents.map(([name, { dtype, shape }]) => {
      const place = { name, spec: { dtype, shape }, offset };
      const bytes = sizeOf(shape) * ARRAYS[dtype].BYTES_PER_ELEMENT;
      offset += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
      return place;
    });
    this.bytes = offset;
  }

  /** The tensors in `buffer`. */
  open(buffer: ArrayBuffer): Record<string, HostTensor> {
    return Object.fromEntries(
      this.#places.map(({ name, spec, offset }) => [name, { ...spec, data: view(buffer, offset, spec) }]),
    );
  }
}

const view = (buffer: ArrayBuffer, offset: number, { dtype, shape }: Spec): HostArray =>
  new ARRAYS[dtype](buffer, offset, sizeOf(shape));
