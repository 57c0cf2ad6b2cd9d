import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { UsageError, unknownName } from '../../common/errors.ts';
import { type Catalogue, listEncoders } from '../../configs/catalogue.ts';
import type { ConfigOptions } from '../../configs/options.ts';
import { resolveData, resolveEncoding } from '../../configs/parts.ts';
import { resolveRun } from '../../configs/run.ts';

function registry<T extends { name: string }>(kind: string, entries: T[]) {
  const names = () => entries.map(({ name }) => name);
  const get = (name: string): T => {
    const found = entries.find((entry) => entry.name === name);
    if (!found) throw unknownName(kind, name, names());
    return found;
  };
  return { names, get };
}

const hiddenSize = z.int().positive().default(64);
const test = suite<{ folder: string; catalogue: Catalogue }>('run');

test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'rec-run-'));
  const write = (path: string, text: string) => writeFileSync(join(context.folder, path), text);
  mkdirSync(join(context.folder, 'models'));
  mkdirSync(join(context.folder, 'encoders'));
  write('models/ids.yaml', '# as published\nmodel:\n  hiddenSize: 128\nrun: {}\n');
  write(
    'encoders/large.yaml',
    'family: transformer\nsummary: the large one\nargument: folder\nencoder:\n  dims: 1024\n',
  );
  context.catalogue = {
    models: registry('model', [
      { name: 'ids', summary: 'learns ids', input: 'id' as const, config: z.strictObject({ hiddenSize }) },
      {
        name: 'texts',
        summary: 'reads texts',
        input: 'text' as const,
        config: z.strictObject({ hiddenSize }),
      },
    ]),
    encoders: registry('encoder', [
      { name: 'blair-mini', summary: 'counts words', config: z.strictObject({ dims: z.int().default(256) }) },
      {
        name: 'transformer',
        summary: 'reads weights',
        config: z.strictObject({ dims: z.int().default(768), folder: z.string().optional() }),
      },
    ]),
    folder: context.folder,
  };
});

test.after(({ folder }) => rmSync(folder, { recursive: true }));

function failure(catalogue: Catalogue, options: Partial<ConfigOptions>): string {
  try {
    resolveRun({ set: [], ...options }, catalogue);
  } catch (error) {
    assert.instance(error, UsageError);
    return (error as Error).message;
  }
  throw new Error('no error');
}

test('the defaults of model, encoder and dataset lie under what the user says', ({ catalogue, folder }) => {
  const config = join(folder, 'mine.yaml');
  writeFileSync(config, 'run:\n  encoder: large\ntrain:\n  epochs: 7\n  batchSize: 99\n');
  const run = resolveRun({ model: 'texts', config, set: ['train.epochs=3'], seed: '5' }, catalogue);
  assert.is(run.model.entry.name, 'texts');
  assert.equal(run.model.settings, { hiddenSize: 64 });
  assert.is(run.encoder?.entry.name, 'transformer');
  assert.is(run.encoder?.name, 'large');
  assert.equal(run.encoder?.settings, { dims: 1024 });
  assert.is(run.dataset, 'demo');
  assert.is(run.train.epochs, 3);
  assert.is(run.train.batchSize, 99);
  assert.is(run.seed, 5);
  assert.ok(run.threads >= 1);
  assert.is(run.config.threads, 0);
  assert.is(run.origins['run.encoder'], `${config}:2`);
  assert.is(run.origins['encoder.dims'], 'configs/encoders/large.yaml:5');
  assert.is(run.origins['train.epochs'], '--set');
  assert.is(run.origins['train.batchSize'], `${config}:5`);
  assert.is(run.origins['run.model'], '--model');
  assert.is(run.origins['run.dataset'], 'default');
});

test('the written configuration alone repeats the run', ({ catalogue, folder }) => {
  for (const model of ['texts', 'ids']) {
    const first = resolveRun(
      { model, encoder: 'blair-mini', set: ['model.hiddenSize=8', 'eval.topk=3,4'] },
      catalogue,
    );
    const path = join(folder, 'config.yaml');
    writeFileSync(path, first.yaml);
    const again = resolveRun({ config: path, set: [] }, catalogue);
    assert.equal(again.config, first.config);
    assert.is(again.encoder?.name, first.encoder?.name);
  }
});

test('a model of ids has no encoder, and says so where one is asked for', ({ catalogue }) => {
  const quiet = resolveRun({ model: 'ids', set: [] }, catalogue);
  assert.is(quiet.encoder, undefined);
  assert.is(quiet.model.settings.hiddenSize, 128);
  assert.is(quiet.origins['model.hiddenSize'], 'configs/models/ids.yaml:3');
  assert.equal(quiet.notes, []);
  assert.not.match(quiet.yaml, 'encoder');
  const asked = resolveRun({ model: 'ids', encoder: 'large', set: [] }, catalogue);
  assert.is(asked.encoder, undefined);
  assert.match(asked.notes[0], 'ids learns from item ids only: encoder large (--encoder) has no effect');
});

test("the text after 'name:' goes where the encoder's file says", ({ catalogue }) => {
  const run = resolveRun({ model: 'texts', encoder: 'large:./a:b', set: [] }, catalogue);
  assert.equal(run.encoder?.settings, { dims: 1024, folder: './a:b' });
  assert.is(run.encoder?.name, 'large:a:b');
  assert.is(run.origins['encoder.folder'], '--encoder');
  assert.match(
    failure(catalogue, { model: 'texts', encoder: 'blair-mini:x' }),
    "encoder 'blair-mini' takes nothing after ':'",
  );
  assert.match(
    failure(catalogue, { model: 'texts', encoder: 'blair-mini', features: 'f' }),
    'leave out --encoder blair-mini',
  );
});

test('unknown names and keys', ({ catalogue }) => {
  assert.match(failure(catalogue, {}), 'which model? Give --model with one of [ids, texts].');
  assert.match(
    failure(catalogue, { model: 'text' }),
    "unknown model 'text' (from --model); did you mean 'texts'?",
  );
  assert.match(
    failure(catalogue, { model: 'texts', encoder: 'larg' }),
    "unknown encoder 'larg' (from --encoder); did you mean 'large'? Must be one of [blair-mini, large, transformer].",
  );
  assert.match(failure(catalogue, { model: 'ids', encoder: 'larg' }), "unknown encoder 'larg'");
  assert.match(
    failure(catalogue, { model: 'ids', dataset: 'dmo' }),
    "unknown dataset 'dmo'; did you mean 'demo'?",
  );
  assert.match(
    failure(catalogue, { model: 'ids', set: ['model.hiddensize=1'] }),
    "did you mean 'model.hiddenSize'?",
  );
  assert.match(failure(catalogue, { model: 'ids', set: ['model=sasrec'] }), "Did you mean 'run.model'?");
  assert.match(
    failure(catalogue, { model: 'ids', set: ['train.lr=1'] }),
    "unknown key 'train.lr', from --set",
  );
  assert.match(failure(catalogue, { model: 'ids', device: 'gpu' }), "device must be one of 'auto', 'cpu'");
  assert.match(
    failure(catalogue, { model: 'ids', seed: '1.5' }),
    'seed must be integer >= 0, got 1.5, from --seed',
  );
});

test('a run configuration serves the parts of a run', ({ catalogue, folder }) => {
  const path = join(folder, 'whole.yaml');
  writeFileSync(
    path,
    resolveRun({ model: 'texts', encoder: 'large', set: ['data.kcore=5'], seed: '3' }, catalogue).yaml,
  );
  const data = resolveData({ config: path, set: ['data.strict=true'] });
  assert.is(data.dataset, 'demo');
  assert.is(data.data.kcore, 5);
  assert.is(data.data.strict, true);
  assert.is(data.seed, 3);
  const encoding = resolveEncoding({ config: path, set: ['encoder.dims=8'] }, catalogue);
  assert.is(encoding.encoder.name, 'large');
  assert.equal(encoding.encoder.settings, { dims: 8 });
  assert.throws(() => resolveData({ set: ['train.epochs=1'] }), /unknown key 'train.epochs', from --set/);
});

test('encoders are listed by file and family', ({ catalogue }) => {
  assert.equal(listEncoders(catalogue), [
    { name: 'large', family: 'transformer', summary: 'the large one', argument: 'folder' },
    { name: 'blair-mini', family: 'blair-mini', summary: 'counts words' },
    { name: 'transformer', family: 'transformer', summary: 'reads weights' },
  ]);
});

test.run();
