import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../common/errors.ts';
import { EVENTS_FILE, EventsWriter } from '../../training/events.ts';
import { askPython, pythonWith } from '../python.ts';

let folder = '';
let path = '';
test.before.each(() => {
  folder = mkdtempSync(join(tmpdir(), 'rec-events-'));
  path = join(folder, EVENTS_FILE);
});
test.after.each(() => rmSync(folder, { recursive: true, force: true }));

interface Parsed {
  wall: number;
  step: number;
  version?: string;
  tag?: string;
  value?: number;
}

/** CRC-32C bit by bit, masked: independent of the writer's table. */
function masked(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1 ? 0x82f63b78 : 0) ^ (crc >>> 1);
  }
  crc = (crc ^ 0xffffffff) >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** Fields of a protobuf message as [number, bytes or integer]. */
function fields(message: Buffer): [number, Buffer | number][] {
  const found: [number, Buffer | number][] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = message[at++];
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const key = varint();
    const wire = key & 7;
    if (wire === 0) found.push([key >> 3, varint()]);
    else {
      const size = wire === 1 ? 8 : wire === 5 ? 4 : varint();
      found.push([key >> 3, message.subarray(at, at + size)]);
      at += size;
    }
  }
  return found;
}

function parse(file: string): Parsed[] {
  const data = readFileSync(file);
  const events: Parsed[] = [];
  for (let at = 0; at < data.length; ) {
    const size = Number(data.readBigUInt64LE(at));
    assert.is(data.readUInt32LE(at + 8), masked(data.subarray(at, at + 8)));
    const message = data.subarray(at + 12, at + 12 + size);
    assert.is(data.readUInt32LE(at + 12 + size), masked(message));
    at += size + 16;
    const event: Parsed = { wall: 0, step: 0 };
    for (const [number, value] of fields(message)) {
      if (number === 1) event.wall = (value as Buffer).readDoubleLE();
      if (number === 2) event.step = value as number;
      if (number === 3) event.version = String(value);
      if (number === 5)
        for (const [n, v] of fields((fields(value as Buffer)[0] as [number, Buffer])[1])) {
          if (n === 1) event.tag = String(v);
          if (n === 2) event.value = (v as Buffer).readFloatLE();
        }
    }
    events.push(event);
  }
  return events;
}

function write(steps: number[]): void {
  const events = new EventsWriter(path);
  for (const step of steps) events.scalar('loss', 1 / step, step, 1000 + step);
  events.close();
}

const stepsIn = (file: string) => parse(file).map(({ step }) => step);

test('the known masked CRC-32C, by the test itself', () => {
  // RFC 3720, B.4: CRC-32C of 32 zero bytes is 0x8a9136aa.
  const crc = 0x8a9136aa;
  assert.is(masked(new Uint8Array(32)), (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
});

test("byte for byte what TensorBoard's own writer makes", () => {
  // TensorBoard 2.21: its RecordWriter, given the serialised Event messages of the same three records.
  const expected =
    '1800000000000000a37f4b220900002040fc54d9411a0d627261696e2e4576656e743a322b353110' +
    '2300000000000000b09f77430900005040fc54d94110072a160a140a0d76616c69642f6e646367403130150000803d3ea1d730' +
    '2400000000000000422b804d0900008040fc54d9411080bcc1960b2a130a110a0a747261696e2f6c6f7373150000c0bf21afce73';
  const { now } = Date;
  Date.now = () => 1700000000500;
  try {
    const events = new EventsWriter(path);
    events.scalar('valid/ndcg@10', 0.0625, 7, 1700000001.25);
    events.scalar('train/loss', -1.5, 3_000_000_000, 1700000002);
    events.close();
  } finally {
    Date.now = now;
  }
  assert.is(readFileSync(path).toString('hex'), expected);
});

test('scalars come back as written, behind a version record', () => {
  const events = new EventsWriter(path);
  events.scalar('train/loss', 6.25, 1, 1700000000.5);
  events.scalar('valid/ndcg@10 é', Number.NaN, 3_000_000_000, 1700000001.5);
  assert.is(parse(path).length, 1);
  events.close();
  const [version, first, second] = parse(path);
  assert.is(version.version, 'brain.Event:2');
  assert.equal(first, { wall: 1700000000.5, step: 1, tag: 'train/loss', value: 6.25 });
  assert.is(second.step, 3_000_000_000);
  assert.is(second.tag, 'valid/ndcg@10 é');
  assert.ok(Number.isNaN(second.value));
});

test('a resumed run appends, and writes no second version record', () => {
  write([1, 2]);
  write([3]);
  assert.equal(stepsIn(path), [0, 1, 2, 3]);
  assert.is(parse(path).filter(({ version }) => version).length, 1);
});

test('killed at any byte: reopening keeps the whole records and goes on after them', () => {
  write([1, 2]);
  const whole = readFileSync(path);
  const ends = [0];
  for (let at = 0; at < whole.length; ) {
    at += Number(whole.readBigUInt64LE(at)) + 16;
    ends.push(at);
  }
  for (let length = 0; length < whole.length; length++) {
    writeFileSync(path, whole.subarray(0, length));
    const events = new EventsWriter(path);
    const complete = ends.filter((end) => end <= length);
    assert.is(events.discardedBytes, length - (complete.at(-1) ?? 0));
    events.scalar('loss', 0, 9, 0);
    events.close();
    const survived = Math.max(1, complete.length - 1);
    assert.equal(stepsIn(path), [...[0, 1, 2].slice(0, survived), 9]);
  }
});

test('a corrupt record ends the file', () => {
  write([1, 2, 3]);
  const data = readFileSync(path);
  data[data.length - 30] ^= 1;
  writeFileSync(path, data);
  write([7]);
  assert.equal(stepsIn(path), [0, 1, 2, 7]);
});

test('truncateAfter drops what lies beyond the checkpoint, and writing goes on', async () => {
  write([1, 2, 3, 4]);
  const events = new EventsWriter(path);
  await events.truncateAfter(2);
  assert.equal(stepsIn(path), [0, 1, 2]);
  const { ino } = statSync(path);
  await events.truncateAfter(2);
  assert.is(statSync(path).ino, ino, 'nothing to drop, nothing rewritten');
  events.scalar('loss', 0.3, 3, 5);
  events.close();
  assert.equal(stepsIn(path), [0, 1, 2, 3]);
  const again = new EventsWriter(path);
  await again.truncateAfter(-1);
  again.close();
  assert.equal(stepsIn(path), [0], 'the version record stays');
});

test("another file under that name is refused and left as it is; a folder's path is an error to act on", () => {
  const text = 'a reader of this file would not want it cut. '.repeat(4);
  writeFileSync(path, text);
  assert.throws(
    () => new EventsWriter(path),
    (error: Error) => error instanceof UserError && /not a TensorBoard events file/.test(error.message),
  );
  assert.is(readFileSync(path, 'utf8'), text);
  assert.throws(() => new EventsWriter(folder), /is a folder/);
});

test('TensorBoard reads it, torn end and all', () => {
  const python = pythonWith('tensorboard');
  if (!python) return;
  write([1, 2]);
  const { size } = statSync(path);
  appendFileSync(path, readFileSync(path).subarray(-20));
  truncateSync(path, size + 11);
  const script = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1]); a.Reload()
print(json.dumps([[t, [[e.step, e.value, e.wall_time] for e in a.Scalars(t)]] for t in a.Tags()['scalars']]))`;
  const read = () => askPython(python, script, folder);
  const two = [
    [1, 1, 1001],
    [2, 0.5, 1002],
  ];
  assert.equal(read(), [['loss', two]]);
  write([4]);
  assert.equal(read(), [['loss', [...two, [4, 0.25, 1004]]]]);
});

test.run();
