/** What UserEval writes beside its result: every answer, every verdict, and what was left out. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../data/atomic-write.js';
import type { Dropped } from '../../data/tally.js';
import { DataError } from '../../errors.js';
import { EVALUATIONS_FOLDER, writeEvaluation } from '../results.js';
import { ORDERS, type TurnJudgment } from './judge-turns.js';
import { AXES } from './options.js';
import type { UserEvalOutcome } from './user-eval.js';

export const userEvalFiles = {
  answers: 'answers.jsonl',
  judgments: 'judgments.jsonl',
  personas: 'personas.jsonl',
  dropped: 'dropped.jsonl',
} as const;

/** The folder of an evaluation in that of a run. */
export function userEvalFolder(run: string, name: string): string {
  return join(run, EVALUATIONS_FOLDER, name);
}

/**
 * Writes `RUN/evaluations/NAME/` with the rows, then `RUN/evaluations/NAME.json`, each atomically.
 *
 * @returns the result's file
 */
export async function writeUserEval(
  run: string,
  { answers, judgments, personas, result }: UserEvalOutcome,
  dropped: readonly Dropped[],
): Promise<string> {
  const folder = userEvalFolder(run, result.name);
  const people = [...personas].map(([user, persona]) => ({ user, persona }));
  await writeRows(join(folder, userEvalFiles.answers), answers);
  await writeRows(join(folder, userEvalFiles.judgments), judgments);
  await writeRows(join(folder, userEvalFiles.personas), people);
  await writeRows(join(folder, userEvalFiles.dropped), dropped);
  return writeEvaluation(run, result);
}

async function writeRows(path: string, rows: readonly unknown[]): Promise<void> {
  await writeFileAtomic(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

const judgmentSchema = z.object({
  id: z.string(),
  user: z.string(),
  kind: z.enum(['initial', 'follow-up']),
  axis: z.enum(AXES),
  order: z.enum(ORDERS),
  winner: z.enum(['answer', 'original', 'tie']).exactOptional(),
  problem: z.string().exactOptional(),
});

/**
 * The verdicts of an evaluation.
 *
 * @throws DataError naming file and line where they are not those of UserEval
 */
export async function readJudgments(path: string): Promise<TurnJudgment[]> {
  return readRows(path, judgmentSchema, 'a verdict of user-eval');
}

const answerSchema = z.object({
  ...{ id: z.string(), user: z.string(), conversation: z.string(), turn: z.number() },
  kind: z.enum(['initial', 'follow-up']),
  prompt: z
    .array(z.object({ role: z.enum(['system', 'user', 'assistant', 'tool']), content: z.string() }))
    .min(1),
  original: z.string(),
  answer: z.string(),
});
export type AnswerRow = z.output<typeof answerSchema>;

/**
 * The answers of an evaluation, with those of the log beside them.
 *
 * @throws DataError naming file and line where they are not those of UserEval
 */
export async function readAnswers(path: string): Promise<AnswerRow[]> {
  return readRows(path, answerSchema, 'an answer of user-eval');
}

const personaSchema = z.object({ user: z.string().min(1), persona: z.string().min(1) });

/**
 * Personas by user, as UserEval and the personas stage of a run write them.
 *
 * @throws DataError naming file and line of a row without user and persona
 */
export async function readPersonaFile(path: string): Promise<Map<string, string>> {
  const rows = await readRows(path, personaSchema, 'a row with user and persona');
  return new Map(rows.map(({ user, persona }) => [user, persona]));
}

async function readRows<Row>(path: string, schema: z.ZodType<Row>, what: string): Promise<Row[]> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new DataError('it cannot be read', { file: path, cause });
  });
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const parsed = schema.safeParse(jsonOf(line));
    if (parsed.success) return [parsed.data];
    const [issue] = parsed.error.issues;
    const where = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
    throw new DataError(`expected ${what}: ${where}${issue?.message}`, { file: path, row: index + 1 });
  });
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
