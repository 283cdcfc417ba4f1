/** Checks the options of a stage against its schema. */
import type { z } from 'zod';
import { ConfigError } from '../errors.js';

/**
 * The options with their defaults filled in.
 *
 * @throws ConfigError that names every option that is wrong or not known, and what was expected of it
 */
export function checkOptions<Schema extends z.ZodObject>(
  schema: Schema,
  input: unknown,
  stage: string,
): z.output<Schema> {
  const parsed = schema.strict().safeParse(input);
  if (parsed.success) return parsed.data as z.output<Schema>;
  const problems = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  );
  throw new ConfigError(`The options of ${stage} cannot be used:\n  ${problems.join('\n  ')}`);
}
