/**
 * Scalars as TensorBoard reads them: event files of length-prefixed, checksummed protocol buffers
 * (tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto). A record goes to the operating system
 * in one write, so that a killed process leaves whole records behind.
 */

import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

export interface TensorboardOptions {
  /**
   * Step after which a resumed run goes on, or null for a new run. TensorBoard drops what earlier files of the folder
   * say of later steps, and shows one curve. Default null.
   */
  resumeAt?: number | null;
}

export interface Tensorboard {
  /** Adds a point at `step` to the curve of each metric. */
  scalars(step: number, metrics: Readonly<Record<string, number>>): void;
  /** Makes sure that what was written is on disk. */
  flush(): void;
  close(): void;
}

/** Opens a new event file in `folder`, which is made if it is not there. */
export function openTensorboard(folder: string, { resumeAt = null }: TensorboardOptions = {}): Tensorboard {
  mkdirSync(folder, { recursive: true });
  const file = openEventFile(folder);
  const write = (...fields: Buffer[]) =>
    void writeSync(file, record(Buffer.concat([doubleField(1, Date.now() / 1000), ...fields])));
  write(bytesField(3, Buffer.from('brain.Event:2')));
  if (resumeAt !== null) write(varintField(2, resumeAt + 1), bytesField(7, SESSION_START));
  return {
    scalars: (step, metrics) => write(varintField(2, step), bytesField(5, summary(metrics))),
    flush: () => fsyncSync(file),
    close: () => closeSync(file),
  };
}

/** TensorBoard reads a folder's files in the order of their names, which begin with the time. */
function openEventFile(folder: string): number {
  const seconds = String(Math.floor(Date.now() / 1000)).padStart(10, '0');
  for (let serial = 0; ; serial++) {
    const name = `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${serial}`;
    try {
      return openSync(join(folder, name), 'wx');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** `Summary { value { tag, simple_value } ... }` */
function summary(metrics: Readonly<Record<string, number>>): Buffer {
  const values = Object.entries(metrics).map(([tag, value]) =>
    bytesField(1, Buffer.concat([bytesField(1, Buffer.from(tag)), floatField(2, value)])),
  );
  return Buffer.concat(values);
}

/** A record: length (uint64), its checksum, data, their checksum. */
function record(data: Buffer): Buffer {
  const bytes = Buffer.alloc(8 + 4 + data.length + 4);
  bytes.writeBigUInt64LE(BigInt(data.length), 0);
  bytes.writeUInt32LE(maskedCrc(bytes.subarray(0, 8)), 8);
  data.copy(bytes, 12);
  bytes.writeUInt32LE(maskedCrc(data), 12 + data.length);
  return bytes;
}

/** A CRC whose data may hold CRCs itself is rotated and shifted (tensorflow/core/lib/hash/crc32c.h). */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** The Castagnoli polynomial, bits reversed. */
const POLYNOMIAL = 0x82f63b78;
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc;
});

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return ~crc;
}

// Protocol buffer fields: a tag (number and wire type), then the value.

const key = (field: number, wireType: number): Buffer => Buffer.from([(field << 3) | wireType]);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

const varintField = (field: number, value: number): Buffer => Buffer.concat([key(field, 0), varint(value)]);

const bytesField = (field: number, value: Buffer): Buffer =>
  Buffer.concat([key(field, 2), varint(value.length), value]);

function doubleField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([key(field, 1), bytes]);
}

function floatField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([key(field, 5), bytes]);
}

/** `SessionLog { status: START }` */
const SESSION_START = varintField(1, 1);
