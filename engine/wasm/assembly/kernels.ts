// AssemblyScript (not TypeScript): compiled to ../kernels.wasm by `npm run build:wasm`.
// All pointers are byte offsets that are multiples of 16; all lengths are multiples of 4 elements.

/** Adam's update with decoupled weight decay, in place. lrT = lr sqrt(1-b2^t)/(1-b1^t), epsT = eps sqrt(1-b2^t). */
export function adam(
  p: usize,
  m: usize,
  v: usize,
  g: usize,
  n: i32,
  lrT: f32,
  epsT: f32,
  beta1: f32,
  beta2: f32,
  keep: f32,
): void {
  const b1 = f32x4.splat(beta1),
    c1 = f32x4.splat(1 - beta1);
  const b2 = f32x4.splat(beta2),
    c2 = f32x4.splat(1 - beta2);
  const lr = f32x4.splat(lrT),
    eps = f32x4.splat(epsT),
    k = f32x4.splat(keep);
  const bytes: usize = (<usize>n) << 2;
  for (let o: usize = 0; o < bytes; o += 16) {
    const gradient = v128.load(g + o);
    const first = f32x4.add(f32x4.mul(v128.load(m + o), b1), f32x4.mul(gradient, c1));
    const second = f32x4.add(f32x4.mul(v128.load(v + o), b2), f32x4.mul(f32x4.mul(gradient, gradient), c2));
    v128.store(m + o, first);
    v128.store(v + o, second);
    const step = f32x4.div(f32x4.mul(first, lr), f32x4.add(f32x4.sqrt(second), eps));
    v128.store(p + o, f32x4.sub(f32x4.mul(v128.load(p + o), k), step));
  }
}

/** Sum of squares, accumulated in four float64 lanes per eight elements. */
export function sumSquares(x: usize, n: i32): f64 {
  let low = f64x2.splat(0),
    high = f64x2.splat(0);
  const bytes: usize = (<usize>n) << 2;
  for (let o: usize = 0; o < bytes; o += 16) {
    const values = v128.load(x + o);
    const a = f64x2.promote_low_f32x4(values);
    const b = f64x2.promote_low_f32x4(
      i8x16.shuffle(values, values, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7),
    );
    low = f64x2.add(low, f64x2.mul(a, a));
    high = f64x2.add(high, f64x2.mul(b, b));
  }
  const sum = f64x2.add(low, high);
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}

/** x *= factor */
export function scale(x: usize, n: i32, factor: f32): void {
  const f = f32x4.splat(factor);
  const bytes: usize = (<usize>n) << 2;
  for (let o: usize = 0; o < bytes; o += 16) v128.store(x + o, f32x4.mul(v128.load(x + o), f));
}

/** Dropout mask: element i is 0 where hash(key, i) < threshold, else `scale`. See ../../random.ts for the hash. */
export function dropoutMask(out: usize, n: i32, key: u32, threshold: u32, scale: f32): void {
  const golden: u32 = 0x9e3779b9;
  let x = i32x4(<i32>key, <i32>(key + golden), <i32>(key + 2 * golden), <i32>(key + 3 * golden));
  const stride = i32x4.splat(<i32>(4 * golden));
  const keys = i32x4.splat(<i32>key),
    one = i32x4.splat(1);
  const limit = i32x4.splat(<i32>threshold),
    kept = f32x4.splat(scale);
  const bytes: usize = (<usize>n) << 2;
  for (let o: usize = 0; o < bytes; o += 16) {
    let h = i32x4.mul(x, i32x4.add(i32x4.shl(x, 1), one));
    h = i32x4.add(i32x4.add(h, i32x4.shr_u(h, 16)), keys);
    h = i32x4.mul(h, i32x4.add(i32x4.shl(h, 1), one));
    h = i32x4.add(h, i32x4.shr_u(h, 16));
    v128.store(out + o, v128.and(i32x4.ge_u(h, limit), kept));
    x = i32x4.add(x, stride);
  }
}
