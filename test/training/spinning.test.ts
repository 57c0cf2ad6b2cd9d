import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Progress } from '../../common/progress.ts';
import { readSafetensors } from '../../common/safetensors.ts';
import { runExperiment } from '../../training/index.ts';
import { writeDataset } from './support.ts';

const test = suite<{ folder: string; data: string }>('spinning');

test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-spinning-'));
  process.env.REC_CACHE = join(context.folder, 'cache');
  context.data = writeDataset(join(context.folder, 'rings'), { users: 40 });
});
test.after(({ folder }) => rmSync(folder, { recursive: true }));

/** Does a whole run, and tells what onnxruntime's sessions of several threads were told. */
async function run({ folder, data }: { folder: string; data: string }, spinning: boolean) {
  const told = new Set<string>();
  const { create } = InferenceSession;
  InferenceSession.create = ((model: Uint8Array, options: InferenceSession.SessionOptions) => {
    const { session } = options.extra as { session: { intra_op: { allow_spinning: string } } };
    if (options.intraOpNumThreads !== 1) told.add(session.intra_op.allow_spinning);
    return create.call(InferenceSession, model, options);
  }) as typeof create;
  try {
    const set = ['model.hiddenSize=16', 'encoder.dims=16', 'train.epochs=2', `spinning=${spinning}`];
    const chosen = { model: 'sasrec-text', encoder: 'lsa', dataset: data, device: 'cpu', threads: '2' };
    const result = await runExperiment({ ...chosen, runs: join(folder, 'runs'), set }, new Progress());
    const { tensors } = await readSafetensors(join(result.run, 'best.safetensors'));
    return { result, told: [...told], parameters: [...tensors].map(([name, { data }]) => [name, data]) };
  } finally {
    InferenceSession.create = create;
  }
}

test('reaches every session of several threads, is written down, and changes no bit', async (context) => {
  const [off, on] = [await run(context, false), await run(context, true)];
  assert.equal([off.told, on.told], [['0'], ['1']]);
  assert.equal(on.parameters, off.parameters);
  assert.equal([on.result.valid, on.result.test], [off.result.valid, off.result.test]);
  const read = (name: string) => readFileSync(join(on.result.run, name), 'utf8');
  assert.match(read('config.yaml'), /^spinning: true/m);
  assert.is(JSON.parse(read('environment.json')).spinning, true);
});

test.run();
