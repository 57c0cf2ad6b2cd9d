import type { HostTensor } from '../../graph.ts';
import { type GpuTensor, upload } from './runtime.ts';

/** Copies on the card of host tensors that nobody writes to any more. */
const copies = new WeakMap<HostTensor['data'], Promise<GpuTensor>>();
/** A copy goes when its original has gone. */
const registry = new FinalizationRegistry<Promise<GpuTensor>>((copy) => {
  copy.then((tensor) => tensor.dispose()).catch(() => {});
});

/** The copy of a frozen tensor, made at its first use. */
export function frozenCopy(tensor: HostTensor): Promise<GpuTensor> {
  const { data } = tensor;
  const known = copies.get(data);
  if (known) return known;
  const copy = upload(tensor);
  copies.set(data, copy);
  registry.register(data, copy);
  return copy;
}
