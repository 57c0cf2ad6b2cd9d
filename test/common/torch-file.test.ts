import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { seeded } from '../../common/random.ts';
import { asFloat32 } from '../../common/safetensors.ts';
import { readTorchFile, readTorchNames } from '../../common/torch-file.ts';
import { unpickleTensors } from '../../common/torch-pickle.ts';
import { pythonWith, runPython } from '../python.ts';

const fixtures = fileURLToPath(new URL('./fixtures/torch', import.meta.url));
let folder: string;
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'torch-'));
});
test.after(() => rm(folder, { recursive: true, force: true }));

type Expected = Record<string, { shape: number[]; values: number[] }>;

async function checkAgainst(path: string, expected: Expected): Promise<void> {
  const { tensors } = await readTorchFile(path);
  assert.equal([...tensors.keys()], Object.keys(expected));
  assert.equal(await readTorchNames(path), Object.keys(expected));
  for (const [name, { dtype, shape, data }] of tensors) {
    assert.equal(shape, expected[name].shape, name);
    const values = dtype === 'F16' || dtype === 'BF16' ? asFloat32({ dtype, shape, data }) : data;
    assert.equal(Array.from(values, Number), expected[name].values, name);
  }
  const floats = await readTorchFile(path, { only: (name) => /half|brain|double/.test(name), float32: true });
  assert.equal([...floats.tensors.keys()], ['half', 'brain', 'double', 'half transposed']);
  for (const [name, { dtype, data }] of floats.tensors) {
    assert.is(dtype, 'F32');
    assert.equal([...(data as Float32Array)], expected[name].values.map(Math.fround), name);
  }
}

for (const name of ['state.bin', 'legacy.bin'])
  test(`${name}, written by PyTorch: every type, strided and shared tensors`, async () => {
    await checkAgainst(
      join(fixtures, name),
      JSON.parse(await readFile(join(fixtures, 'expected.json'), 'utf8')),
    );
  });

test('files that PyTorch writes now are read to the last bit', async () => {
  const python = pythonWith('torch');
  if (!python) return;
  runPython(python, join(fixtures, 'make.py'), [folder, '7']);
  const expected = JSON.parse(await readFile(join(folder, 'expected.json'), 'utf8'));
  for (const name of ['state.bin', 'legacy.bin']) await checkAgainst(join(folder, name), expected);
});

async function failure(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (e: Error) => e,
  );
  assert.instance(error, UserError, String(error?.stack));
  return error!.message;
}

const fail = (problem: string) => new UserError(problem);
const unpickle = (text: string) => unpickleTensors(Buffer.from(text, 'latin1'), 0, fail).value;

test('code that a pickle names is not run: anything but the rebuilding of tensors is refused by name', () => {
  // What pickle.dumps gives for objects whose __reduce__ calls os.system, eval and open.
  assert.throws(() => unpickle('\x80\x02cposix\nsystem\nX\x02\0\0\0id\x85R.'), /asks for 'posix.system'/);
  assert.throws(
    () => unpickle('\x80\x02c__builtin__\neval\nX\x01\0\0\x001\x85R.'),
    /asks for '__builtin__.eval'/,
  );
  assert.throws(() => unpickle('\x80\x02ctorch\nload\n.'), /asks for 'torch.load'/);
  for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty'])
    assert.throws(() => unpickle(`\x80\x02ctorch\n${name}\n)R.`), /asks for 'torch/);
  // GLOBAL's newer form, INST, OBJ, NEWOBJ, extension registry, protocol 0 strings.
  for (const operation of ['\x93', 'i', 'o', '\x81', '\x82', 'S', 'I', 'P', '\x95'])
    assert.throws(() => unpickle(`\x80\x02${operation}`), /operation 0x[0-9a-f]{2} at byte 2 is none/);
  assert.throws(() => unpickle('\x80\x04.'), /protocol 4/);
});

test('pickles that make no sense are refused, not obeyed', () => {
  for (const text of ['', '\x80', '\x80\x02', '\x80\x02(', '\x80\x02X\xff\xff\xff\x7fab', '\x80\x02ctorch'])
    assert.throws(() => unpickle(text), /ends at byte/);
  for (const text of ['\x80\x02.', '\x80\x02(.', '\x80\x02R.', '\x80\x02K\x01s.', '\x80\x02\x85.'])
    assert.throws(() => unpickle(text), /too few values/);
  assert.throws(() => unpickle('\x80\x02t.'), /no mark/);
  assert.throws(() => unpickle('\x80\x02h\x05.'), /refers to a value that is not there/);
  assert.throws(() => unpickle('\x80\x02N(K\x01K\x02u.'), /cannot hold values/);
  assert.throws(() => unpickle('\x80\x02}(K\x01u.'), /a key without a value/);
  assert.throws(() => unpickle('\x80\x02K\x01)R.'), /no function/);
  assert.throws(() => unpickle('\x80\x02X\x01\0\0\0aQ.'), /storage of an unknown kind/);
});

/** torch._utils._rebuild_tensor_v2 of a storage of four floats. */
function tensorPickle(offset: number, shape: number[], strides: number[]): string {
  const int = (n: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(n);
    return `J${bytes.toString('latin1')}`;
  };
  const text = (t: string) => `X${String.fromCharCode(t.length)}\0\0\0${t}`;
  const tuple = (items: string[]) => `(${items.join('')}t`;
  const storage = `${tuple([text('storage'), 'ctorch\nFloatStorage\n', text('0'), text('cpu'), int(4)])}Q`;
  const counts = (list: number[]) => tuple(list.map(int));
  return `\x80\x02ctorch._utils\n_rebuild_tensor_v2\n${tuple([storage, int(offset), counts(shape), counts(strides)])}R.`;
}

test('a tensor must lie within its storage', () => {
  assert.ok(unpickle(tensorPickle(0, [2, 2], [2, 1])));
  assert.ok(unpickle(tensorPickle(3, [1], [1])));
  assert.ok(unpickle(tensorPickle(0, [0], [1])));
  for (const [offset, shape, strides] of [
    [1, [2, 2], [2, 1]],
    [4, [1], [1]],
    [-1, [2], [1]],
    [0, [2], [-1]],
    [0, [2, 2], [3, 1]],
    [0, [4], [1, 1]],
    [0, [1 << 30, 1 << 30], [0, 0]],
  ] as [number, number[], number[]][])
    assert.throws(() => unpickle(tensorPickle(offset, shape, strides)), /no tensor within its storage/);
});

test('files that are none of PyTorch, or damaged, are named', async () => {
  const path = join(folder, 'bad.bin');
  const fails = async (bytes: Uint8Array | string) => {
    await writeFile(path, bytes);
    const message = await failure(readTorchFile(path));
    assert.match(message, path);
    return message;
  };
  assert.match(await fails(''), /neither like a zip archive nor like a pickle/);
  assert.match(await fails('version https://git-lfs.github.com/spec/v1\n'), /neither like a zip archive/);
  assert.match(await failure(readTorchFile(join(folder, 'absent'))), /absent: does not exist/);
  const state = await readFile(join(fixtures, 'state.bin'));
  const legacy = await readFile(join(fixtures, 'legacy.bin'));
  await fails(state.subarray(0, state.length - 30));
  assert.match(await fails(legacy.subarray(0, legacy.length - 1)), /its tensors take more|ended at byte/);
  assert.match(await fails(legacy.subarray(0, 200)), /ends at byte/);
  assert.match(await fails(Buffer.from('\x80\x02}.', 'latin1')), /magic number/);
  const swapped = Buffer.from(state);
  swapped.write('bigggg', swapped.indexOf('little'));
  assert.match(await fails(swapped), /byte order is "bigggg"/);
});

test('damaged files end in tensors or in a message, whatever byte is wrong', async () => {
  const random = seeded('fuzz torch files');
  for (const name of ['state.bin', 'legacy.bin']) {
    const whole = await readFile(join(fixtures, name));
    let refused = 0;
    for (let round = 0; round < 100; round++) {
      const bytes = Buffer.from(whole);
      for (let i = 0; i <= round % 3; i++) bytes[random.below(bytes.length)] = random.below(256);
      const cut = round % 5 ? bytes : bytes.subarray(0, random.below(bytes.length));
      const path = join(folder, 'fuzzed.bin');
      await writeFile(path, cut);
      await readTorchFile(path).catch((error) => {
        assert.instance(error, UserError, String(error?.stack));
        refused++;
      });
    }
    assert.ok(refused > 25, `${refused} of 100 damaged files were refused`);
  }
  // Pickles alone, where every byte counts.
  const legacy = await readFile(join(fixtures, 'legacy.bin'));
  for (let round = 0; round < 2000; round++) {
    const bytes = Buffer.from(legacy);
    for (let i = 0; i <= round % 4; i++) bytes[137 + random.below(1000)] = random.below(256);
    try {
      unpickleTensors(bytes, 137, fail);
    } catch (error) {
      assert.instance(error, UserError, String((error as Error).stack));
    }
  }
});

test.run();
