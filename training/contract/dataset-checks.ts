import { Progress } from '../../common/progress.ts';
import { dataSettings, loadDataset, resolveSource } from '../../data/index.ts';
import type { Check } from './model-checks.ts';
import { ensure } from './vectors.ts';

/** What a plugin's dataset must keep, with its own settings. */
export function datasetChecks(name: string): Check[] {
  const load = async () => {
    const source = resolveSource(name);
    return loadDataset(source, dataSettings.parse(source.defaults?.data ?? {}), {
      progress: new Progress(),
      seed: 1,
    });
  };
  return [
    {
      name: 'rows',
      rule: 'it is prepared to training, validation and test rows',
      basic: true,
      async run() {
        const { counts } = (await load()).manifest;
        for (const split of ['train', 'valid', 'test'] as const)
          ensure(
            counts[split] > 0,
            `there are no ${split} rows: look at the steps of rec data prepare --dataset ${name}`,
          );
      },
    },
    {
      name: 'determinism',
      rule: 'read again, it holds the same',
      async run() {
        const [one, two] = [await load(), await load()];
        ensure(
          one.manifest.hash === two.manifest.hash,
          'interactions() or items() yield something else the second time: seed what is random',
        );
      },
    },
  ];
}
