/** The bytes of a text file, plain, gzipped or compressed with zstd, piece by piece. */
import { createReadStream } from 'node:fs';
import { pipeline, type Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { DataError } from '../../errors.js';
import { type Engine, sqlText } from './engine.js';
import type { InputFile } from './input-files.js';

/** Node.js has zstd since 22.15. */
const createZstdDecompress = (zlib as { createZstdDecompress?: () => Transform }).createZstdDecompress;

/** A line that no JSON reader takes: stands for one that the engine could not read. */
const UNREADABLE_LINE = Buffer.from('\u0000\n');

/**
 * The uncompressed bytes. Where Node.js has no zstd, the engine reads the lines of such a file: blank ones are left
 * out, so that rows are numbered without them, and one it can't read is replaced by a line that is not JSON.
 *
 * @throws DataError when the file cannot be read, or is damaged or cut short
 */
export async function* readText(
  engine: Engine,
  file: InputFile,
  maxRowBytes: number,
): AsyncGenerator<Buffer> {
  if (file.compression === 'zstd' && createZstdDecompress === undefined) {
    yield* readZstdByEngine(engine, file.path, maxRowBytes);
    return;
  }
  const decompress =
    file.compression === 'gzip'
      ? zlib.createGunzip()
      : file.compression === 'zstd'
        ? createZstdDecompress?.()
        : undefined;
  try {
    const source = createReadStream(file.path, { highWaterMark: 1 << 18 });
    // Unlike pipe, pipeline hands the file's errors on, and closes it when the reader stops early.
    yield* decompress === undefined ? source : pipeline(source, decompress, () => {});
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const damaged = code?.startsWith('Z_') || code?.startsWith('ZSTD_');
    throw new DataError(
      damaged
        ? `The ${file.compression} data is damaged or cut short (${message}).`
        : `It cannot be read (${message}).`,
      { file: file.path, cause: error },
    );
  }
}

async function* readZstdByEngine(engine: Engine, path: string, maxRowBytes: number): AsyncGenerator<Buffer> {
  const read = (format: string, skip: boolean) =>
    `SELECT json FROM read_json_objects(${sqlText(path)}, compression = 'zstd', format = '${format}', ` +
    `ignore_errors = ${skip}, maximum_object_size = ${maxRowBytes})`;
  try {
    const [first] = await engine.all<{ json: string | null }>(`${read('newline_delimited', true)} LIMIT 1`);
    // A document over several lines begins with one that is not JSON; so may lines, but not all of them.
    const lines =
      first === undefined || first.json !== null || (await hasLines(engine, read('newline_delimited', true)));
    const result = await engine.stream(lines ? read('newline_delimited', true) : read('auto', false));
    for await (const rows of result.yieldRowsJs()) {
      for (const [json] of rows)
        yield json === null ? UNREADABLE_LINE : Buffer.from(`${oneLine(String(json))}\n`);
    }
  } catch (error) {
    if (error instanceof DataError || (error as Error).name === 'AbortError') throw error;
    throw new DataError(
      `The zstd file cannot be read; with Node.js 22.15 or later it is read by other means. (${(error as Error).message.split('\n')[0]})`,
      { file: path, cause: error },
    );
  }
}

async function hasLines(engine: Engine, read: string): Promise<boolean> {
  const rows = await engine.all(`SELECT 1 FROM (${read}) WHERE json_type(json) = 'OBJECT' LIMIT 1`);
  return rows.length > 0;
}

/** JSON has line ends only between its tokens, where a space does as well. */
function oneLine(json: string): string {
  return json.replace(/[\r\n]+/g, ' ');
}
