import { hash32 } from '../random.ts';
import type { Kernels } from './kernels.ts';

const f32 = Math.fround;

/** The kernels in JavaScript, rounding to float32 at the same places as the SIMD ones. */
export function fallbackKernels(buffer: ArrayBuffer): Kernels {
  const all = new Float32Array(buffer);
  return {
    adam(p, m, v, g, n, lrT, epsT, beta1, beta2, keep) {
      const [b1, b2, lr, eps, k] = [f32(beta1), f32(beta2), f32(lrT), f32(epsT), f32(keep)];
      const c1 = f32(1 - b1);
      const c2 = f32(1 - b2);
      for (let i = 0; i < n; i++) {
        const gradient = all[g / 4 + i];
        const first = f32(f32(all[m / 4 + i] * b1) + f32(gradient * c1));
        const second = f32(f32(all[v / 4 + i] * b2) + f32(f32(gradient * gradient) * c2));
        all[m / 4 + i] = first;
        all[v / 4 + i] = second;
        all[p / 4 + i] = f32(
          f32(all[p / 4 + i] * k) - f32(f32(first * lr) / f32(f32(Math.sqrt(second)) + eps)),
        );
      }
    },
    sumSquares(x, n) {
      let sum = 0;
      for (let i = x / 4; i < x / 4 + n; i++) sum += all[i] * all[i];
      return sum;
    },
    scale(x, n, factor) {
      const f = f32(factor);
      for (let i = x / 4; i < x / 4 + n; i++) all[i] *= f;
    },
    dropoutMask(out, n, key, threshold, scale) {
      const limit = threshold >>> 0;
      for (let i = 0; i < n; i++) all[out / 4 + i] = hash32(key, i) >= limit ? scale : 0;
    },
  };
}
