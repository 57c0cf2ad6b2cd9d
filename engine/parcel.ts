import { UserError } from '../common/errors.ts';
import { ARRAYS, type HostArray, type HostTensor, type Spec, sizeOf } from './graph.ts';

const ALIGNMENT = 64;

/** Tensors side by side in one buffer that two threads see. */
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
  open(buffer: SharedArrayBuffer): Record<string, HostTensor> {
    return Object.fromEntries(
      this.#places.map(({ name, spec, offset }) => [name, { ...spec, data: view(buffer, offset, spec) }]),
    );
  }
}

// The union of constructors is typed for the one kind of buffer alone.
const view = (buffer: SharedArrayBuffer, offset: number, { dtype, shape }: Spec): HostArray =>
  new ARRAYS[dtype](buffer as ArrayBufferLike as ArrayBuffer, offset, sizeOf(shape));

/** Copies some tensors by name. */
export function copyTensors(
  from: Record<string, HostTensor>,
  to: Record<string, HostTensor>,
  names: readonly (readonly [name: string, spec: Spec])[],
): void {
  for (const [name, { shape }] of names) {
    const { length } = from[name].data;
    if (length !== sizeOf(shape))
      throw new UserError(`'${name}' of shape [${shape}] was given ${length} elements`);
    to[name].data.set(from[name].data);
  }
}
