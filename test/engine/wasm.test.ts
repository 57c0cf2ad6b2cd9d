import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../common/random.ts';
import { ARENA_LIMIT_BYTES, createArena } from '../../engine/wasm/kernels.ts';
import { skipped } from '../skip.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LENGTH = 1024;

/** The same random numbers in two arenas of four vectors, one for each implementation of the kernels. */
function twins() {
  const arenas = [true, false].map((simd) => createArena(LENGTH * 16, { simd }));
  for (const { buffer } of arenas) {
    const random = seeded('arena');
    const values = new Float32Array(buffer, 0, LENGTH * 4);
    // Magnitudes from 1e-9 to 1e3, as gradients have; second moments are positive.
    for (let i = 0; i < values.length; i++) values[i] = random.normal() * 10 ** (12 * random.uniform() - 9);
    for (let i = 2 * LENGTH; i < 3 * LENGTH; i++) values[i] **= 2;
    values.fill(0, 3 * LENGTH, 3 * LENGTH + 8);
  }
  return arenas;
}
const bits = ({ buffer }: { buffer: ArrayBuffer }) => new Uint32Array(buffer, 0, LENGTH * 4);

test('the arenas are two implementations', () => {
  const [simd, plain] = twins();
  assert.not.equal(`${simd.kernels.adam}`, `${plain.kernels.adam}`);
  assert.match(`${simd.kernels.adam}`, /native code/);
});

test('adam: WebAssembly and JavaScript agree bit for bit', () => {
  const [simd, plain] = twins();
  for (let step = 1; step <= 10; step++) {
    for (const { kernels } of [simd, plain])
      kernels.adam(
        0,
        LENGTH * 4,
        LENGTH * 8,
        LENGTH * 12,
        LENGTH,
        1e-3 / step,
        1e-8 * step,
        0.9,
        0.999,
        1 - 1e-5,
      );
    assert.equal(bits(simd), bits(plain));
  }
});

test('scale: bit for bit, and no element further', () => {
  const [simd, plain] = twins();
  const before = bits(simd).slice();
  for (const { kernels } of [simd, plain]) {
    kernels.scale(LENGTH * 4, 512, 0.1);
  }
  assert.equal(bits(simd), bits(plain));
  assert.equal(bits(simd).subarray(0, LENGTH), before.subarray(0, LENGTH));
  assert.equal(bits(simd).subarray(LENGTH + 512), before.subarray(LENGTH + 512));
});

test('sumSquares: equal to a float64 sum', () => {
  for (const { buffer, kernels } of twins()) {
    const expected = new Float32Array(buffer, LENGTH * 8, LENGTH).reduce((sum, x) => sum + x * x, 0);
    assert.ok(Math.abs(kernels.sumSquares(LENGTH * 8, LENGTH) / expected - 1) < 1e-12);
    assert.is(kernels.sumSquares(0, 0), 0);
  }
});

test('an arena is zeroed, aligned, and refuses to be larger than 32-bit addresses allow', () => {
  for (const simd of [true, false]) {
    const { buffer } = createArena(100, { simd });
    assert.ok(buffer.byteLength >= 112);
    assert.ok(new Uint8Array(buffer).every((x) => x === 0));
    assert.throws(() => createArena(ARENA_LIMIT_BYTES + 1, { simd }), /at most/);
  }
});

test('kernels.wasm is what its source builds to', () => {
  const asc = join(ROOT, 'node_modules/.bin/asc');
  if (!existsSync(asc)) return skipped('the AssemblyScript compiler is not installed');
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const folder = mkdtempSync(join(tmpdir(), 'rec-wasm-'));
  try {
    const fresh = join(folder, 'kernels.wasm');
    const [, ...args] = (scripts['build:wasm'] as string)
      .replace('engine/wasm/kernels.wasm', fresh)
      .split(' ');
    assert.ok(args.includes(fresh));
    execFileSync(asc, args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] });
    assert.ok(
      readFileSync(fresh).equals(readFileSync(join(ROOT, 'engine/wasm/kernels.wasm'))),
      'run `npm run build:wasm`',
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
