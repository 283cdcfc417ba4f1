/**
 * What an evaluation leaves behind, whatever it measures: tables of values with intervals, answers to look at, what it
 * took. The report shows any file of this form, so that a new evaluation needs no new page.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../data/atomic-write.js';
import { ConfigError, DataError } from '../errors.js';

/** Where evaluations of a run lie, in the run's folder: one file each. */
export const EVALUATIONS_FOLDER = 'evaluations';

const cellSchema = z.strictObject({
  value: z
    .union([z.number(), z.string(), z.null()])
    .describe('A number, words, or null for what is missing.'),
  low: z.number().exactOptional().describe('Lower end of the interval, in the unit of the value.'),
  high: z.number().exactOptional().describe('Upper end of the interval.'),
  count: z.number().exactOptional().describe('How many things the value is of, where that differs by cell.'),
});

const columnSchema = z.strictObject({
  title: z.string().min(1),
  unit: z
    .enum(['share', 'percent', 'number', 'count', 'seconds', 'text'])
    .default('number')
    .describe('share: 0 to 1, shown as percent; percent: 0 to 100; text: words.'),
  digits: z.number().int().min(0).max(6).exactOptional().describe('Digits behind the point.'),
  better: z.enum(['higher', 'lower']).exactOptional().describe('Which values are to be wished for.'),
  reference: z
    .number()
    .exactOptional()
    .describe('A value to compare with, drawn as a line: 0.5 for a win rate.'),
});

const tableSchema = z
  .strictObject({
    title: z.string().min(1),
    note: z.string().exactOptional().describe('What the table says and how to read it; what intervals are.'),
    rowTitle: z.string().default('').describe("Title of the column with the rows' labels."),
    columns: z.array(columnSchema).min(1),
    rows: z.array(
      z.strictObject({
        label: z.string(),
        group: z.string().exactOptional().describe('Rows of one group stand together under its name.'),
        cells: z.array(cellSchema),
      }),
    ),
  })
  .refine(({ columns, rows }) => rows.every(({ cells }) => cells.length === columns.length), {
    error: 'expected as many cells in each row as there are columns',
  });

const answersSchema = z.strictObject({
  user: z.string().exactOptional(),
  persona: z.string().exactOptional(),
  prompt: z
    .array(z.strictObject({ role: z.enum(['system', 'user', 'assistant', 'tool']), content: z.string() }))
    .min(1),
  answers: z
    .array(
      z.strictObject({
        label: z.string().min(1).describe('Who answers: before, after, the name of a model.'),
        text: z.string(),
        note: z.string().exactOptional().describe('A few words beneath: a verdict, a reward.'),
      }),
    )
    .min(1),
});

export const evaluationResultSchema = z.strictObject({
  kind: z.literal('evaluation'),
  format: z.literal(1),
  name: z
    .string()
    .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'expected a name like user-eval')
    .describe('The same for the same evaluation of other runs: the comparison of runs goes by it.'),
  title: z.string().min(1),
  about: z.string().default('').describe('What was measured, in a sentence or two.'),
  subject: z.string().default('').describe('The model or adapter that was evaluated.'),
  finishedAt: z.iso.datetime().exactOptional(),
  settings: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
    .default({})
    .describe('Judge, samples, seed: what somebody who repeats it needs.'),
  tables: z.array(tableSchema),
  answers: z.array(answersSchema).default([]).describe('Answers side by side, a few to look at.'),
  seconds: z.number().min(0).exactOptional(),
  usage: z
    .strictObject({
      requests: z.number(),
      cached: z.number(),
      failed: z.number(),
      promptTokens: z.number(),
      completionTokens: z.number(),
      cost: z.number().nullable(),
    })
    .exactOptional(),
});

/** A result as it is given: what has a default may be left out. */
export type EvaluationResultInput = z.input<typeof evaluationResultSchema>;
export type EvaluationResult = z.output<typeof evaluationResultSchema>;
export type EvaluationTable = EvaluationResult['tables'][number];
export type EvaluationColumn = EvaluationTable['columns'][number];
export type EvaluationCell = EvaluationTable['rows'][number]['cells'][number];
export type EvaluationAnswers = EvaluationResult['answers'][number];

/**
 * Writes a result as `RUN/evaluations/NAME.json`, in place of an earlier one of that name.
 *
 * @param run The run's folder
 * @returns the file
 * @throws ConfigError where the result is not of the form above
 */
export async function writeEvaluation(run: string, result: EvaluationResultInput): Promise<string> {
  const parsed = evaluationResultSchema.safeParse(result);
  if (!parsed.success) throw new ConfigError(`the result of an evaluation: ${firstIssue(parsed.error)}`);
  const path = join(run, EVALUATIONS_FOLDER, `${parsed.data.name}.json`);
  await writeFileAtomic(path, `${JSON.stringify(parsed.data, null, 2)}\n`);
  return path;
}

/**
 * The evaluations of a run by name. Files in `RUN/evaluations` that are of another kind (judgments, samples) are left
 * aside.
 *
 * @throws DataError for a file that says it is an evaluation and is none
 */
export function readEvaluations(run: string): EvaluationResult[] {
  const folder = join(run, EVALUATIONS_FOLDER);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .flatMap((name) => readEvaluation(join(folder, name)) ?? []);
}

function readEvaluation(file: string): EvaluationResult | undefined {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new DataError('expected JSON', { file, cause });
  }
  if ((value as { kind?: unknown } | null)?.kind !== 'evaluation') return undefined;
  const parsed = evaluationResultSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new DataError(
    `expected the result of an evaluation as this version of the package writes it: ${firstIssue(parsed.error)}`,
    { file },
  );
}

function firstIssue({ issues }: z.ZodError): string {
  const { path = [], message = '' } = issues[0] ?? {};
  return path.length === 0 ? message : `${path.join('.')}: ${message}`;
}
