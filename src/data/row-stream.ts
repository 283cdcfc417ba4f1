/**
 * Rows of a JSONL file or of a JSON array, one at a time, gzipped or not, as raw bytes with the line they
 * start on. At most one row and one chunk of the file are in memory.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { DataError } from '../errors.js';

export interface RawRow {
  /** 1-based, of the uncompressed file. */
  line: number;
  /** The row's bytes; only the first `maxRowBytes` of them when `tooLong`. */
  bytes: Buffer;
  tooLong: boolean;
}

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * The rows of `path`: the elements of a JSON array when the file starts with `[`, else its lines that are not
 * blank. Gzip is told by its first bytes, not by the name.
 *
 * @throws DataError when the file cannot be read, is a format we do not read, or a JSON array is cut short
 */
export async function* streamRows(path: string, maxRowBytes: number): AsyncGenerator<RawRow> {
  const chunks = readChunks(path);
  let splitter: Splitter | undefined;
  for await (const chunk of chunks) {
    let bytes = chunk;
    if (splitter === undefined) {
      if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) bytes = bytes.subarray(3);
      splitter =
        firstByte(bytes) === OPEN_LIST ? arraySplitter(path, maxRowBytes) : lineSplitter(maxRowBytes);
    }
    yield* splitter.push(bytes);
  }
  if (splitter !== undefined) yield* splitter.end();
}

async function* readChunks(path: string): AsyncGenerator<Buffer> {
  try {
    const magic = await readMagic(path);
    if (magic.toString('latin1') === 'PAR1') {
      throw new DataError('This is a Parquet file; expected JSONL, a JSON array, or either gzipped.', {
        file: path,
      });
    }
    if (magic.readUInt32BE(0) === 0x28b52ffd) {
      throw new DataError('This file is compressed with zstd; expected gzip or no compression.', {
        file: path,
      });
    }
    const file = createReadStream(path, { highWaterMark: 1 << 18 });
    const gzipped = magic[0] === 0x1f && magic[1] === 0x8b;
    // Unlike pipe, pipeline hands the file's errors on, and closes it when the reader stops early.
    yield* gzipped ? pipeline(file, createGunzip(), () => {}) : file;
  } catch (error) {
    if (error instanceof DataError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const what =
      code === 'ENOENT'
        ? 'There is no such file.'
        : code?.startsWith('Z_')
          ? `The gzip data is damaged or cut short (${message}).`
          : `It cannot be read (${message}).`;
    throw new DataError(what, { file: path, cause: error });
  }
}

async function readMagic(path: string): Promise<Buffer> {
  const handle = await open(path);
  try {
    const magic = Buffer.alloc(4);
    await handle.read(magic, 0, 4, 0);
    return magic;
  } finally {
    await handle.close();
  }
}

function firstByte(bytes: Buffer): number | undefined {
  return bytes.find((byte) => !isSpace(byte));
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === NEWLINE || byte === 0x0d || byte === 0x09;
}

/** Takes a file's bytes piece by piece and gives its rows. */
export interface Splitter {
  push(chunk: Buffer): Generator<RawRow>;
  end(): Generator<RawRow>;
}

/** Collects the pieces of a row over chunks, keeping no more than `maxRowBytes`. */
function rowCollector(maxRowBytes: number) {
  let pieces: Buffer[] = [];
  let kept = 0;
  let tooLong = false;
  return {
    add(piece: Buffer) {
      const room = maxRowBytes - kept;
      if (piece.byteLength > room) tooLong = true;
      const part = piece.subarray(0, room);
      // A copy: the chunk it lies in should not stay alive for the sake of one row.
      if (part.byteLength > 0) pieces.push(Buffer.from(part));
      kept += part.byteLength;
    },
    take(line: number): RawRow {
      const row = { line, bytes: Buffer.concat(pieces), tooLong };
      pieces = [];
      kept = 0;
      tooLong = false;
      return row;
    },
  };
}

/** The lines that are not blank. */
export function lineSplitter(maxRowBytes: number): Splitter {
  const row = rowCollector(maxRowBytes);
  let line = 1;
  function* finish(): Generator<RawRow> {
    const taken = row.take(line);
    if (firstByte(taken.bytes) !== undefined) yield taken;
  }
  return {
    *push(chunk) {
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
        row.add(chunk.subarray(start, end));
        yield* finish();
        line++;
        start = end + 1;
      }
      row.add(chunk.subarray(start));
    },
    end: finish,
  };
}

/** Everything as one row. */
export function wholeSplitter(maxRowBytes: number): Splitter {
  const row = rowCollector(maxRowBytes);
  return {
    // biome-ignore lint/correctness/useYield: the row is there once all of it is.
    *push(chunk) {
      row.add(chunk);
    },
    *end() {
      const taken = row.take(1);
      if (firstByte(taken.bytes) !== undefined) yield taken;
    },
  };
}

export interface ArraySplitterOptions {
  /** Lines of the file before the list. Default 0. */
  skippedLines?: number;
  /** Whether the list is part of an object, of which more may follow. Default false. */
  wrapped?: boolean;
}

/** Splits at the commas of the outermost list; what lies between is parsed, and may be found bad, by the caller. */
export function arraySplitter(
  path: string,
  maxRowBytes: number,
  { skippedLines = 0, wrapped = false }: ArraySplitterOptions = {},
): Splitter {
  const row = rowCollector(maxRowBytes);
  let line = skippedLines + 1;
  let rowLine = 0;
  let depth = 0;
  let inString = false;
  let escaped = false;
  let closed = false;

  function* finish(): Generator<RawRow> {
    if (rowLine > 0) yield row.take(rowLine);
    rowLine = 0;
  }

  return {
    *push(chunk) {
      let start = 0;
      for (let i = 0; i < chunk.length; i++) {
        const byte = chunk[i] as number;
        if (byte === NEWLINE) line++;
        if (inString) {
          if (escaped) escaped = false;
          else if (byte === BACKSLASH) escaped = true;
          else if (byte === QUOTE) inString = false;
          continue;
        }
        if (isSpace(byte)) continue;
        if (closed) {
          if (wrapped) return;
          throw new DataError('Expected nothing after the end of the JSON array.', { file: path, row: line });
        }
        if (depth === 0) {
          depth = 1;
          start = i + 1;
          continue;
        }
        if (depth === 1 && (byte === COMMA || byte === CLOSE_LIST)) {
          if (rowLine > 0) row.add(chunk.subarray(start, i));
          yield* finish();
          closed = byte === CLOSE_LIST;
          continue;
        }
        if (rowLine === 0) {
          rowLine = line;
          start = i;
        }
        if (byte === QUOTE) inString = true;
        else if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth++;
        else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) depth--;
      }
      if (rowLine > 0) row.add(chunk.subarray(start));
    },
    // biome-ignore lint/correctness/useYield: the end of an array yields nothing, it only checks.
    *end() {
      if (!closed) {
        throw new DataError('The JSON array is not closed: the file is cut short.', {
          file: path,
          row: line,
        });
      }
    },
  };
}
