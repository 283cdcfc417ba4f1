import type { z } from 'zod';
import type { Tally } from '../../data/tally.js';
import { DataError } from '../../errors.js';
import { checkedRows } from '../table-rows.js';
import { type BenchmarkName, benchmarkNamed } from './benchmarks.js';
import type { Problem } from './problem.js';

export interface ReadProblemsOptions {
  /** Of the order of options, where the file has the right one first. Default 0. */
  seed?: number;
  /** Only so many problems, from the beginning. Default: all. */
  limit?: number | null;
}

/**
 * The problems of a benchmark's file. Books: rows; dropped are those that need an image, ask for a proof or have no
 * answer.
 *
 * @throws DataError for a file of another form or without problems
 */
export async function readProblems(
  file: string,
  name: BenchmarkName,
  tally: Tally,
  { seed = 0, limit = null }: ReadProblemsOptions = {},
): Promise<Problem[]> {
  const { schema, parse, title, fields } = benchmarkNamed(name);
  const problems: Problem[] = [];
  const rows = checkedRows(file, schema as z.ZodType<unknown>, `a row of ${title} with ${fields}`);
  let number = 0;
  for await (const { row, value } of rows) {
    if (limit !== null && problems.length >= limit) break;
    tally.enter();
    const parsed = parse(value, { number: ++number, seed });
    if ('left' in parsed) {
      tally.drop({ id: `${name}:${number}`, reason: parsed.left, file, row });
      continue;
    }
    tally.leave();
    problems.push(parsed);
  }
  if (problems.length === 0) throw new DataError(`there is no problem of ${title} in it`, { file });
  return problems;
}
