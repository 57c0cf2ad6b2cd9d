import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import protobuf from 'protobufjs/minimal.js';
import { UserError } from '../common/errors.ts';
import { explainFileError, writeFileAtomic, writeFully } from '../common/files.ts';

/** TensorBoard takes for an events file what has 'tfevents' in its name. */
export const EVENTS_FILE = 'events.out.tfevents.rec';

/** Field numbers of TensorFlow's event.proto and summary.proto. */
const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5 };
const SUMMARY = { value: 1 };
const VALUE = { tag: 1, simpleValue: 2 };
const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 };
const key = (field: number, wire: number) => (field << 3) | wire;

/**
 * Writes scalars into a TensorBoard events file: TFRecords of Event messages, appended.
 *
 * Opening an existing file goes on after its last whole record: what a killed run left half-written is cut off, because
 * TensorBoard reads nothing behind a torn record. Scalars wait in memory until `flush`.
 */
export class EventsWriter {
  /** Bytes of a torn or corrupt end that opening the file cut off. */
  readonly discardedBytes: number;
  readonly #path: string;
  #file: number;
  #pending: Uint8Array[] = [];

  /**
   * @param path its folder is made where it is missing
   * @throws UserError where the file cannot be written, or is not an events file
   */
  constructor(path: string) {
    this.#path = path;
    this.#file = openForAppending(path);
    const content = readFileSync(path);
    const length = wholeLength(content);
    // A file cut before its first whole record is shorter than a version record; anything longer is someone else's.
    if (length === 0 && content.length > 64) {
      closeSync(this.#file);
      throw new UserError(`${path}: not a TensorBoard events file; it was left as it is`);
    }
    this.discardedBytes = content.length - length;
    if (this.discardedBytes) ftruncateSync(this.#file, length);
    if (length === 0) {
      this.#pending.push(frame(versionEvent(Date.now() / 1000)));
      this.flush();
    }
  }

  /** Adds the point (step, value) to the series `tag`; `wallSeconds` is seconds since 1970. */
  scalar(tag: string, value: number, step: number, wallSeconds: number): void {
    this.#pending.push(frame(scalarEvent(tag, value, step, wallSeconds)));
  }

  /** Appends what waits, in one write. */
  flush(): void {
    const data = Buffer.concat(this.#pending);
    this.#pending = [];
    try {
      writeFully(this.#file, data);
    } catch (error) {
      throw explainFileError(error, this.#path);
    }
  }

  /** Drops all scalars of steps after `step`: a resumed run writes them again. The version record stays. */
  async truncateAfter(step: number): Promise<void> {
    this.flush();
    const content = readFileSync(this.#path);
    const kept = [...records(content)].filter(({ start, data }) => start === 0 || stepOf(data) <= step);
    const parts = kept.map(({ start, end }) => content.subarray(start, end));
    if (parts.reduce((sum, part) => sum + part.length, 0) === fstatSync(this.#file).size) return;
    await writeFileAtomic(this.#path, parts);
    closeSync(this.#file);
    this.#file = openForAppending(this.#path);
  }

  close(): void {
    this.flush();
    closeSync(this.#file);
  }
}

function openForAppending(path: string): number {
  try {
    mkdirSync(dirname(path), { recursive: true });
    return openSync(path, 'a+');
  } catch (error) {
    throw explainFileError(error, path);
  }
}

function versionEvent(wallSeconds: number): Uint8Array {
  const writer = protobuf.Writer.create();
  writer.uint32(key(EVENT.wallTime, WIRE.fixed64)).double(wallSeconds);
  writer.uint32(key(EVENT.fileVersion, WIRE.bytes)).string('brain.Event:2');
  return writer.finish();
}

function scalarEvent(tag: string, value: number, step: number, wallSeconds: number): Uint8Array {
  const writer = protobuf.Writer.create();
  writer.uint32(key(EVENT.wallTime, WIRE.fixed64)).double(wallSeconds);
  writer.uint32(key(EVENT.step, WIRE.varint)).int64(step);
  writer.uint32(key(EVENT.summary, WIRE.bytes)).fork();
  writer.uint32(key(SUMMARY.value, WIRE.bytes)).fork();
  writer.uint32(key(VALUE.tag, WIRE.bytes)).string(tag);
  writer.uint32(key(VALUE.simpleValue, WIRE.fixed32)).float(value);
  return writer.ldelim().ldelim().finish();
}

/** The step of an Event message; 0 where it has none, as in the version record. */
function stepOf(event: Uint8Array): number {
  const reader = protobuf.Reader.create(event);
  let step = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === key(EVENT.step, WIRE.varint)) step = Number(reader.int64());
    else reader.skipType(tag & 7);
  }
  return step;
}

/** A TFRecord: length as uint64, its masked CRC-32C, the data, its masked CRC-32C; little-endian. */
function frame(data: Uint8Array): Uint8Array {
  const record = Buffer.alloc(data.length + 16);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(maskedCrc(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(maskedCrc(data), 12 + data.length);
  return record;
}

/** The whole records at the beginning of a file, up to the first that is torn or corrupt. */
function* records(content: Buffer): Generator<{ start: number; end: number; data: Buffer }> {
  for (let start = 0; start + 16 <= content.length; ) {
    if (content.readUInt32LE(start + 8) !== maskedCrc(content.subarray(start, start + 8))) return;
    const end = start + 16 + Number(content.readBigUInt64LE(start));
    if (end > content.length) return;
    const data = content.subarray(start + 12, end - 4);
    if (content.readUInt32LE(end - 4) !== maskedCrc(data)) return;
    yield { start, end, data };
    start = end;
  }
}

function wholeLength(content: Buffer): number {
  let length = 0;
  for (const { end } of records(content)) length = end;
  return length;
}

/** CRC-32C (Castagnoli) by table, rotated and offset as TFRecord prescribes. */
function maskedCrc(data: Uint8Array): number {
  let crc = -1;
  for (const byte of data) crc = crcTable[(crc ^ byte) & 255] ^ (crc >>> 8);
  crc = ~crc;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

const crcTable = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});
