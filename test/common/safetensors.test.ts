import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import {
  asFloat32,
  readSafetensors,
  readSafetensorsHeader,
  requireTensor,
  type Tensor,
  writeSafetensors,
} from '../../common/safetensors.ts';
import { skipped } from '../skip.ts';

let folder: string;
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'safetensors-'));
});
test.after(() => rm(folder, { recursive: true, force: true }));

/** A file put together by hand: what a hostile or broken writer may leave. */
async function handmade(
  header: unknown,
  data: Uint8Array = new Uint8Array(0),
  length?: bigint,
): Promise<string> {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(json.length));
  const path = join(folder, 'handmade.safetensors');
  await writeFile(path, Buffer.concat([prefix, json, data]));
  return path;
}

const bytesOf = ({ data }: Tensor): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

async function failure(path: string): Promise<string> {
  try {
    await readSafetensors(path);
  } catch (error) {
    assert.instance(error, UserError);
    assert.match((error as Error).message, path);
    return (error as Error).message;
  }
  throw new Error('was read without an error');
}

const f32 = (start: number, end: number, shape = [(end - start) / 4]) => ({
  dtype: 'F32',
  shape,
  data_offsets: [start, end],
});

test('what is written is read back, in every dtype, in the order given', async () => {
  const path = join(folder, 'all.safetensors');
  const tensors: [string, Tensor][] = [
    ['z', { dtype: 'F32', shape: [2, 2], data: Float32Array.of(1, -2.5, Number.NaN, 1e-40) }],
    ['bytes', { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 255) }],
    ['a', { dtype: 'I64', shape: [1], data: BigInt64Array.of(-(2n ** 62n)) }],
    ['f64', { dtype: 'F64', shape: [], data: Float64Array.of(Math.PI) }],
    ['none', { dtype: 'I32', shape: [0, 7], data: new Int32Array(0) }],
    ['i32', { dtype: 'I32', shape: [2], data: Int32Array.of(-1, 7) }],
    ['bool', { dtype: 'BOOL', shape: [2], data: Uint8Array.of(0, 1) }],
    ['half', { dtype: 'F16', shape: [1], data: Uint16Array.of(0x3c00) }],
    ['__proto__', { dtype: 'I8', shape: [1], data: Int8Array.of(-3) }],
  ];
  await writeSafetensors(path, tensors, { format: 'pt', note: 'é' });
  const back = await readSafetensors(path);
  assert.equal(back.metadata, { format: 'pt', note: 'é' });
  assert.equal([...back.tensors.keys()].sort(), tensors.map(([name]) => name).sort());
  for (const [name, tensor] of tensors) {
    assert.equal(back.tensors.get(name)!.dtype, tensor.dtype);
    assert.equal(back.tensors.get(name)!.shape, tensor.shape);
    assert.equal(bytesOf(back.tensors.get(name)!), bytesOf(tensor)); // NaN is not equal to itself
  }
  const bytes = await readFile(path);
  assert.is(Number(bytes.readBigUInt64LE(0)) % 8, 0);
  assert.is((await readdir(folder)).filter((name) => name.endsWith('.tmp')).length, 0);
});

test('the order of tensors is the order in the file, and unaligned tensors are read', async () => {
  const path = join(folder, 'order.safetensors');
  await writeSafetensors(path, [
    ['b', { dtype: 'U8', shape: [1], data: Uint8Array.of(9) }],
    ['a', { dtype: 'F32', shape: [1], data: Float32Array.of(0.5) }],
  ]);
  const { entries } = await readSafetensorsHeader(path);
  assert.equal(
    entries.map((e) => [e.name, e.start]),
    [
      ['b', 0],
      ['a', 1],
    ],
  );
  assert.is((await readSafetensors(path)).tensors.get('a')!.data[0], 0.5);
});

test('half and brain floats become 32-bit floats', async () => {
  const path = join(folder, 'half.safetensors');
  // 1, -2, 65504 (largest), 2^-24 (smallest subnormal), infinity, -0
  const half = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0x8000);
  const brain = Uint16Array.of(0x3f80, 0xc000, 0x4049);
  await writeSafetensors(path, [
    ['half', { dtype: 'F16', shape: [6], data: half }],
    ['brain', { dtype: 'BF16', shape: [3], data: brain }],
    ['double', { dtype: 'F64', shape: [1], data: Float64Array.of(0.1) }],
    ['int', { dtype: 'I32', shape: [1], data: Int32Array.of(1) }],
  ]);
  const expected = {
    half: Float32Array.of(1, -2, 65504, 2 ** -24, Infinity, -0),
    brain: Float32Array.of(1, -2, 3.140625),
  };
  const raw = await readSafetensors(path);
  const converted = await readSafetensors(path, { float32: true });
  assert.equal(raw.tensors.get('half')!.data, half);
  for (const name of ['half', 'brain'] as const) {
    assert.equal(asFloat32(raw.tensors.get(name)!), expected[name]);
    assert.equal(converted.tensors.get(name)!.data, expected[name]);
    assert.is(converted.tensors.get(name)!.dtype, 'F32');
  }
  assert.equal(converted.tensors.get('double')!.data, Float32Array.of(0.1));
  assert.is(converted.tensors.get('int')!.dtype, 'I32');
  assert.ok(Number.isNaN(asFloat32({ dtype: 'F16', shape: [1], data: Uint16Array.of(0x7e00) })[0]));
  assert.throws(() => asFloat32(raw.tensors.get('int')!, 'int'), /int holds I32/);
});

test('only the wanted tensors are read', async () => {
  const path = join(folder, 'some.safetensors');
  const one = (x: number): Tensor => ({ dtype: 'F32', shape: [1], data: Float32Array.of(x) });
  await writeSafetensors(path, [
    ['a.x', one(1)],
    ['b.x', one(2)],
    ['a.y', one(3)],
  ]);
  const { tensors } = await readSafetensors(path, { only: (name) => name.startsWith('a.') });
  assert.equal([...tensors.keys()], ['a.x', 'a.y']);
  assert.is(tensors.get('a.y')!.data[0], 3);
});

test('tensors in any header order are read, as offsets decide', async () => {
  const data = new Uint8Array(Float32Array.of(1, 2).buffer);
  const { tensors } = await readSafetensors(await handmade({ second: f32(4, 8), first: f32(0, 4) }, data));
  assert.is(tensors.get('first')!.data[0], 1);
  assert.is(tensors.get('second')!.data[0], 2);
});

const hostile: [string, () => Promise<string>, RegExp][] = [
  [
    'too short',
    async () => {
      const path = join(folder, 'short.safetensors');
      await writeFile(path, 'abc');
      return path;
    },
    /3 bytes are too few/,
  ],
  [
    'header longer than the file',
    () => handmade({}, undefined, 1000n),
    /header claims 1000 bytes, the file has 10/,
  ],
  [
    'absurd header length',
    () => handmade({}, undefined, 2n ** 64n - 1n),
    /claims 18446744073709551615 bytes/,
  ],
  ['header that is not JSON', () => handmade('{"a": '), /header is not JSON/],
  ['header that is not UTF-8', () => handmade({}, Uint8Array.of(0xff, 0xfe), 4n), /header is not JSON/],
  ['header that is a list', () => handmade('[]'), /not a JSON object/],
  [
    'metadata of numbers',
    () => handmade({ __metadata__: { a: 1 } }),
    /__metadata__ is not an object of strings/,
  ],
  ['overlap', () => handmade({ a: f32(0, 8), b: f32(4, 12) }, new Uint8Array(12)), /'b' overlaps 'a'/],
  ['same bytes twice', () => handmade({ a: f32(0, 8), b: f32(0, 8) }, new Uint8Array(8)), /'b' overlaps 'a'/],
  ['hole', () => handmade({ a: f32(0, 4), b: f32(8, 12) }, new Uint8Array(12)), /bytes 4 to 8 .*'b'/],
  ['bytes left over', () => handmade({ a: f32(0, 4) }, new Uint8Array(8)), /bytes 4 to 8 at the end/],
  ['end outside', () => handmade({ a: f32(0, 400) }, new Uint8Array(8)), /'a'.*outside of the 8 bytes/],
  ['start after end', () => handmade({ a: f32(8, 4, [1]) }, new Uint8Array(8)), /'a'.*outside/],
  ['negative offset', () => handmade({ a: f32(-4, 4) }, new Uint8Array(8)), /'a'.*not two whole numbers/],
  [
    'fractional offset',
    () => handmade({ a: f32(0.5, 4, [1]) }, new Uint8Array(8)),
    /'a'.*not two whole numbers/,
  ],
  [
    'unknown dtype',
    () => handmade({ a: { ...f32(0, 4), dtype: 'F31' } }, new Uint8Array(4)),
    /'a': unknown dtype "F31"/,
  ],
  [
    'dtype from the prototype',
    () => handmade({ a: { ...f32(0, 4), dtype: 'toString' } }, new Uint8Array(4)),
    /unknown dtype/,
  ],
  [
    'size against shape',
    () => handmade({ a: f32(0, 4, [2]) }, new Uint8Array(4)),
    /'a': F32 \[2\] takes 8 bytes.*give 4/,
  ],
  ['overflowing shape', () => handmade({ a: f32(0, 0, [2 ** 32, 2 ** 32]) }), /'a'.*takes/],
  ['negative shape', () => handmade({ a: f32(0, 4, [-1]) }, new Uint8Array(4)), /'a'.*shape \[-1\]/],
  [
    'no shape',
    () => handmade({ a: { dtype: 'F32', data_offsets: [0, 4] } }, new Uint8Array(4)),
    /'a'.*shape undefined/,
  ],
  ['description that is no object', () => handmade({ a: 3 }), /'a'.*not an object/],
  [
    'name twice',
    () =>
      handmade(
        '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        new Uint8Array(1),
      ),
    /key 'a' twice/,
  ],
  [
    'field twice',
    () => handmade('{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}', new Uint8Array(1)),
    /key 'dtype' twice/,
  ],
];
for (const [name, make, message] of hostile)
  test(`refused: ${name}`, async () => {
    assert.match(await failure(await make()), message);
  });

test('a missing file, a missing tensor and a wrong shape are named', async () => {
  assert.match(await failure(join(folder, 'absent.safetensors')), /does not exist/);
  const path = join(folder, 'model.safetensors');
  await writeSafetensors(path, [
    ['encoder.weight', { dtype: 'F32', shape: [2, 1], data: new Float32Array(2) }],
  ]);
  const file = await readSafetensors(path);
  assert.throws(
    () => requireTensor(file, 'encoder.weigth'),
    (e: Error) =>
      e.message.includes(path) &&
      /'encoder.weigth' is missing; the nearest is 'encoder.weight'/.test(e.message),
  );
  assert.throws(() => requireTensor(file, 'encoder.weight', [1, 2]), /shape \[2, 1\], expected \[1, 2\]/);
  assert.is(requireTensor(file, 'encoder.weight', [2, 1]).data.length, 2);
});

test('a tensor that contradicts itself is not written', async () => {
  const path = join(folder, 'never.safetensors');
  const write = async (...tensors: [string, Tensor][]): Promise<string> =>
    writeSafetensors(path, tensors).then(
      () => 'written',
      (error: Error) => error.message,
    );
  assert.match(await write(['a', { dtype: 'F32', shape: [3], data: new Float32Array(2) }]), /'a': 2 values/);
  assert.match(await write(['a', { dtype: 'I32', shape: [2], data: new Float32Array(2) }]), /'a'/);
  const fine: Tensor = { dtype: 'F32', shape: [1], data: new Float32Array(1) };
  assert.match(await write(['a', fine], ['a', fine]), /taken/);
  assert.not(existsSync(path));
});

test('a file written by the reference implementation is read', async () => {
  const path = '../shared/data/tiny-roberta/model.safetensors';
  if (!existsSync(path)) return skipped(`${path} is not at hand`);
  const file = await readSafetensors(path);
  const words = requireTensor(file, 'embeddings.word_embeddings.weight', [1000, 32]);
  assert.ok(asFloat32(words).every((x) => Number.isFinite(x)));
});

test.run();
