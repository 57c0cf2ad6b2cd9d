import type { HostTensor } from '../../graph.ts';
import { type GpuTensor, upload } from './runtime.ts';

interface Copy {
  tensor: Promise<GpuTensor>;
  users: number;
}

/** Copies on the card of host tensors that nobody writes to any more, shared by all functions. */
const copies = new Map<HostTensor['data'], Copy>();

/** The frozen inputs of one function: the latest of each name stays on the card. */
export class Frozen {
  readonly #held = new Map<string, HostTensor['data']>();

  tensor(name: string, tensor: HostTensor): Promise<GpuTensor> {
    const { data } = tensor;
    const copy = copies.get(data) ?? { tensor: upload(tensor), users: 0 };
    copies.set(data, copy);
    if (this.#held.get(name) !== data) {
      copy.users++;
      this.#drop(name);
      this.#held.set(name, data);
    }
    return copy.tensor;
  }

  #drop(name: string): void {
    const data = this.#held.get(name);
    const copy = data && copies.get(data);
    this.#held.delete(name);
    if (!copy || --copy.users) return;
    copies.delete(data);
    void copy.tensor.then((tensor) => tensor.dispose());
  }

  close(): void {
    for (const name of [...this.#held.keys()]) this.#drop(name);
  }
}
