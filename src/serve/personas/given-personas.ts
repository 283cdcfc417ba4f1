/** Personas that are known beforehand: a run's `personas.jsonl`, or any file with a user and a persona in each row. */

import { z } from 'zod';
import { streamRows } from '../../data/row-stream.js';
import { DataError } from '../../errors.js';

const rowSchema = z.object({ user: z.string().min(1), persona: z.string() });

const MAX_ROW_BYTES = 16 * 1024 * 1024;

/**
 * Reads `{"user": ..., "persona": ...}` rows; other fields are not looked at, empty personas left out. Of two rows of
 * one user the last counts.
 *
 * @throws DataError naming file and row: nobody is to be served without a persona because a row was damaged
 */
export async function readGivenPersonas(file: string): Promise<Map<string, string>> {
  const personas = new Map<string, string>();
  for await (const { line, bytes, tooLong } of streamRows(file, MAX_ROW_BYTES)) {
    const parsed = rowSchema.safeParse(tooLong ? undefined : jsonOf(bytes));
    if (!parsed.success) {
      throw new DataError('expected a row {"user": TEXT, "persona": TEXT}', { file, row: line });
    }
    const { user, persona } = parsed.data;
    if (persona.trim() !== '') personas.set(user, persona.trim());
  }
  return personas;
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
