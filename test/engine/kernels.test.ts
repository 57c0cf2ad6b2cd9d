import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compile, tf } from '../../engine/index.ts';
import { TRACER } from '../../engine/tracer.ts';
import { elementwise } from './cases/elementwise.ts';
import { gather } from './cases/gather.ts';
import { matmul } from './cases/matmul.ts';
import { own } from './cases/own.ts';
import { reduce } from './cases/reduce.ts';
import { shape } from './cases/shape.ts';
import { agreeWithEager, type Case } from './support/agree.ts';

const registered = tf.getKernelsForBackend(TRACER);
const traced = new Set<string>();
const kernelFuncs = registered.map((config) => config.kernelFunc);
test.before(() => {
  for (const config of registered) {
    const { kernelFunc } = config;
    config.kernelFunc = (call) => {
      traced.add(config.kernelName);
      return kernelFunc(call);
    };
  }
});
test.after(() => {
  registered.forEach((config, i) => {
    config.kernelFunc = kernelFuncs[i];
  });
});

const cases = [...elementwise, ...matmul, ...reduce, ...gather, ...shape, ...own];
const groups = new Map<string, Case[]>();
for (const c of cases) {
  const operation = /^\w+/.exec(c.name)![0];
  groups.set(operation, [...(groups.get(operation) ?? []), c]);
}
for (const [operation, group] of groups)
  test(`${operation}: ${group.length} cases with their gradients, 1 and 2 threads`, () =>
    agreeWithEager(group));

test('no registered kernel is left untested', () => {
  const untested = registered.map((k) => k.kernelName).filter((name) => !traced.has(name));
  assert.is(untested.join(), '');
});

test('stridedSlice of one row with a stride (where eager tfjs 4.22 picks the wrong elements)', async () => {
  const x = {
    dtype: 'float32' as const,
    shape: [4, 5],
    data: Float32Array.from({ length: 20 }, (_, i) => i),
  };
  const compiled = compile(({ x }) => ({ y: tf.stridedSlice(x, [1, 0], [2, 5], [1, 2], 0, 0, 0, 0, 1) }));
  const { y } = await compiled({ x });
  assert.equal([...y.data], [5, 7, 9]);
  assert.equal(y.shape, [3]);
  await compiled.close();
});

test('case names are unique', () => {
  assert.is(new Set(cases.map((c) => c.name)).size, cases.length);
});

test.run();
