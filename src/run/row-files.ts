/** Files with one JSON object a line: written with their hash and number of rows, read row by row. */

import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { z } from 'zod';
import { streamRows } from '../data/row-stream.js';
import { DataError, PersonaDpoError } from '../errors.js';
import type { OutputFile } from './manifest.js';

/** Text that waits to be written, at most. */
const BUFFER_CHARACTERS = 256 * 1024;
/** Longest row that is read. A row holds at most a conversation and what a model was asked about it. */
const MAX_ROW_BYTES = 256 * 1024 * 1024;

/** A file of rows being written; it is on disk when `close` has returned. */
export class RowWriter {
  readonly #descriptor: number;
  readonly #hash = createHash('sha256');
  #pending = '';
  #rows = 0;
  #bytes = 0;

  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true });
    this.#descriptor = openSync(path, 'w');
  }

  write(row: unknown): void {
    this.#pending += `${JSON.stringify(row)}\n`;
    this.#rows++;
    if (this.#pending.length >= BUFFER_CHARACTERS) this.#flush();
  }

  close(): OutputFile {
    this.#flush();
    fsyncSync(this.#descriptor);
    closeSync(this.#descriptor);
    return { sha256: this.#hash.digest('hex'), bytes: this.#bytes, rows: this.#rows };
  }

  /** Lets go of the file, which is then of no use. */
  abandon(): void {
    closeSync(this.#descriptor);
  }

  #flush(): void {
    const bytes = Buffer.from(this.#pending);
    this.#pending = '';
    this.#hash.update(bytes);
    for (let offset = 0; offset < bytes.length; )
      offset += writeSync(this.#descriptor, bytes, offset, bytes.length - offset);
    this.#bytes += bytes.length;
  }
}

export interface ReadRowsOptions {
  /** How many rows there must be: what the stage that wrote the file has counted. */
  expected?: number | null | undefined;
}

/**
 * The rows of a file, checked.
 *
 * @throws DataError for a row that is not of the schema, with file and line; PersonaDpoError (`COUNTS`) when there
 *   are more or fewer rows than `expected`
 */
export async function* readRows<Row>(
  path: string,
  schema: z.ZodType<Row>,
  { expected }: ReadRowsOptions = {},
): AsyncGenerator<Row, void, void> {
  let rows = 0;
  for await (const { line, bytes, tooLong } of streamRows(path, MAX_ROW_BYTES)) {
    if (tooLong)
      throw new DataError(`the row is longer than ${MAX_ROW_BYTES} bytes`, { file: path, row: line });
    yield parseRow(path, line, bytes.toString('utf8'), schema);
    rows++;
  }
  if (expected !== undefined && expected !== null && rows !== expected) {
    throw new PersonaDpoError(
      'COUNTS',
      `${path} holds ${rows} rows, but the stage that wrote it counted ${expected}`,
      { details: { file: path, rows, expected } },
    );
  }
}

function parseRow<Row>(file: string, row: number, text: string, schema: z.ZodType<Row>): Row {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DataError('not valid JSON', { file, row, cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path = [], message = '' } = parsed.error.issues[0] ?? {};
  throw new DataError(`${path.length === 0 ? 'the row' : path.join('.')}: ${message}`, { file, row });
}
