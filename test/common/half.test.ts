import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toFloat16 } from '../../common/half.ts';
import { asFloat32 } from '../../common/safetensors.ts';

const back = (values: number[]) => {
  const data = toFloat16(Float32Array.from(values));
  return [...asFloat32({ dtype: 'F16', shape: [values.length], data })];
};

test('every half-precision number comes back as it was', () => {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const values = asFloat32({ dtype: 'F16', shape: [65536], data: all });
  const again = toFloat16(values);
  for (let bits = 0; bits < 65536; bits++)
    if (!Number.isNaN(values[bits])) assert.is(again[bits], bits, `bits ${bits}`);
  assert.ok(Number.isNaN(back([Number.NaN])[0]));
});

test('others are rounded to the nearest, ties to even', () => {
  // Neighbours of 1 are 2^-10 apart, of the smallest numbers 2^-24.
  const [ulp, tiny] = [2 ** -10, 2 ** -24];
  assert.equal(back([1 + ulp / 2, 1 + ulp * 1.5, 1 + ulp * 0.51]), [1, 1 + 2 * ulp, 1 + ulp]);
  assert.equal(back([tiny / 2, tiny * 0.51, tiny * 1.5, -tiny * 2.5]), [0, tiny, 2 * tiny, -2 * tiny]);
  assert.equal(back([65519, 65520, -1e9, 2 ** -14 - tiny / 4]), [65504, Infinity, -Infinity, 2 ** -14]);
  for (let i = 0; i < 2000; i++) {
    const x = Math.fround(Math.sin(i) * 10 ** ((i % 11) - 6));
    const [y] = back([x]);
    const step = Math.max(tiny, 2 ** (Math.floor(Math.log2(Math.abs(x) || tiny)) - 10));
    assert.ok(Math.abs(y - x) <= step / 2, `${x} became ${y}`);
  }
});

test.run();
