import type { HostTensor } from '../../graph.ts';
import { cutTensor } from './blocks.ts';
import { type GpuTensor, upload } from './runtime.ts';

/** Copies on the card of host tensors that nobody writes to any more, in blocks of rows where they are large. */
const copies = new WeakMap<HostTensor['data'], Promise<GpuTensor[]>>();
/** A copy goes when its original has gone. */
const registry = new FinalizationRegistry<Promise<GpuTensor[]>>((copy) => {
  copy.then(
    (blocks) => {
      for (const block of blocks) block.dispose();
    },
    () => {},
  );
});

/** The copy of a frozen tensor, made at its first use. @param rows of its blocks, always the same ones */
export function frozenCopy(tensor: HostTensor, rows: readonly number[] | undefined): Promise<GpuTensor[]> {
  const { data } = tensor;
  const known = copies.get(data);
  if (known) return known;
  const copy = Promise.all(cutTensor(tensor, rows).map(upload));
  copies.set(data, copy);
  registry.register(data, copy);
  return copy;
}
