import { parse } from 'yaml';
import type { z } from 'zod';

/**
 * The value that a flag's text stands for: a number, truth value or `null` where the option takes one (`none`
 * counts as `null`), else the text itself. Lists may be given as several words or separated by commas.
 */
export function readWritten(schema: z.ZodType, written: string | readonly string[] | boolean): unknown {
  if (typeof written === 'boolean') return written;
  if (typeof written !== 'string') {
    const words = written.flatMap((word) => word.split(',')).filter((word) => word !== '');
    const items = words.map((word) => readWritten(schema, word));
    return items.length === 1 ? items[0] : items;
  }
  const scalar: unknown = written === 'none' && schema.safeParse(null).success ? null : parse(written);
  return !schema.safeParse(scalar).success && schema.safeParse(written).success ? written : scalar;
}
