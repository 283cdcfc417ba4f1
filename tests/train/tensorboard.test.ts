import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTensorboard } from '../../src/train/tensorboard.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensorboard-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** CRC-32C bit by bit (RFC 3720, appendix B.4). */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function unmasked(value: number): number {
  const rotated = (value - 0xa282ead8) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
}

/** The records of a file; fails on a wrong checksum. */
function records(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    expect(unmasked(bytes.readUInt32LE(at + 8))).toBe(crc32c(bytes.subarray(at, at + 8)));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(unmasked(bytes.readUInt32LE(at + 12 + length))).toBe(crc32c(data));
    found.push(data);
    at += 12 + length + 4;
  }
  return found;
}

/** Fields of a protocol buffer: varints as numbers, everything else as bytes. */
function fields(bytes: Buffer): { field: number; value: number | Buffer }[] {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes.readUInt8(at++);
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  const take = (count: number) => {
    at += count;
    return bytes.subarray(at - count, at);
  };
  const found: { field: number; value: number | Buffer }[] = [];
  while (at < bytes.length) {
    const key = varint();
    const sizes: Record<number, () => number | Buffer> = {
      0: varint,
      1: () => take(8),
      2: () => take(varint()),
      5: () => take(4),
    };
    found.push({ field: key >> 3, value: sizes[key & 7]!() });
  }
  return found;
}

function event(data: Buffer) {
  const byNumber = new Map(fields(data).map(({ field, value }) => [field, value]));
  const values = byNumber.has(5) ? fields(byNumber.get(5) as Buffer) : [];
  return {
    wallTime: (byNumber.get(1) as Buffer).readDoubleLE(),
    step: byNumber.get(2) as number | undefined,
    fileVersion: byNumber.get(3)?.toString(),
    starts: byNumber.has(7),
    scalars: values.map(({ value }) => {
      const [tag, scalar] = fields(value as Buffer).map((each) => each.value as Buffer);
      return [tag!.toString(), scalar!.readFloatLE()];
    }),
  };
}

const eventsIn = (name: string) => records(readFileSync(join(folder, name))).map(event);

describe('openTensorboard', () => {
  it('writes a version record, then one event for each step', () => {
    const before = Date.now() / 1000;
    const board = openTensorboard(folder);
    board.scalars(1, { loss: 0.75, 'rewards/margins': -2.5 });
    board.scalars(300, { loss: Number.NaN });
    board.scalars(2 ** 40, { übermaß: 1 });
    board.close();
    const [name] = readdirSync(folder) as [string];
    expect(name).toMatch(/^events\.out\.tfevents\.\d{10}\./);
    const events = eventsIn(name);
    expect(events.map(({ fileVersion }) => fileVersion)).toEqual([
      'brain.Event:2',
      undefined,
      undefined,
      undefined,
    ]);
    expect(events.slice(1).map(({ step, scalars }) => ({ step, scalars }))).toEqual([
      {
        step: 1,
        scalars: [
          ['loss', 0.75],
          ['rewards/margins', -2.5],
        ],
      },
      { step: 300, scalars: [['loss', Number.NaN]] },
      { step: 2 ** 40, scalars: [['übermaß', 1]] },
    ]);
    for (const { wallTime, starts } of events) {
      expect(wallTime).toBeGreaterThanOrEqual(before);
      expect(wallTime).toBeLessThanOrEqual(Date.now() / 1000);
      expect(starts).toBe(false);
    }
  });

  it('has everything in the file after each call, without a flush', () => {
    const board = openTensorboard(folder);
    const [name] = readdirSync(folder) as [string];
    expect(eventsIn(name)).toHaveLength(1);
    board.scalars(1, { loss: 1 });
    expect(eventsIn(name)).toHaveLength(2);
    board.flush();
    board.close();
  });

  it('opens a later file when a run is resumed, which says from which step on it holds', () => {
    openTensorboard(folder).close();
    openTensorboard(folder, { resumeAt: 20 }).close();
    const names = readdirSync(folder).sort();
    expect(names).toHaveLength(2);
    const events = eventsIn(names[1]!);
    expect(events.map(({ step, starts }) => ({ step, starts }))).toEqual([
      { step: undefined, starts: false },
      { step: 21, starts: true },
    ]);
  });

  it('makes the folder', () => {
    const deeper = join(folder, 'runs', 'a');
    openTensorboard(deeper).close();
    expect(readdirSync(deeper)).toHaveLength(1);
  });
});
