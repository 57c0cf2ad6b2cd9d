import { test } from 'uvu';
import { elementwise } from '../cases/elementwise.ts';
import { gather } from '../cases/gather.ts';
import { matmul } from '../cases/matmul.ts';
import { own } from '../cases/own.ts';
import { reduce } from '../cases/reduce.ts';
import { shape } from '../cases/shape.ts';
import { agreeWithEager } from '../support/agree.ts';
import { webgpuHere } from './support.ts';

const webgpu = await webgpuHere({ strict: false });
const groups = { elementwise, gather, matmul, own, reduce, shape };

for (const [name, cases] of webgpu ? Object.entries(groups) : []) {
  test(`${name} on webgpu: ${cases.length} cases with their gradients`, () =>
    agreeWithEager(cases, [webgpu!]));
}

test.run();
