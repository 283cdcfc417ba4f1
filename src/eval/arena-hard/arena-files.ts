/** Files in Arena-Hard's form: questions, answers of models, judgments. */
import { z } from 'zod';
import { DataError } from '../../errors.js';
import { checkedRows } from '../table-rows.js';
import type { ArenaGames } from './score.js';
import { ARENA_VERDICTS, type ArenaVerdict } from './verdict.js';

/** Where Arena-Hard has its questions and answers; fetched by the user, and not part of this package. */
export const ARENA_COMMANDS = [
  'curl -L -o question.jsonl \\\n    https://huggingface.co/spaces/lmarena-ai/arena-hard-browser/resolve/main/data/arena-hard-v0.1/question.jsonl',
  'curl -L -o gpt-4-0314.jsonl \\\n    https://huggingface.co/spaces/lmarena-ai/arena-hard-browser/resolve/main/data/arena-hard-v0.1/model_answer/gpt-4-0314.jsonl',
] as const;

export const ARENA_BASELINE = 'gpt-4-0314';

const questionSchema = z.object({
  question_id: z.string().min(1),
  turns: z.array(z.object({ content: z.string().min(1) })).length(1, 'expected one turn, as version 0.1 has'),
});

const answerSchema = z.object({
  question_id: z.string().min(1),
  model_id: z.string().min(1),
  choices: z.array(z.object({ turns: z.array(z.object({ content: z.string() })).min(1) })).min(1),
});

const gameSchema = z.object({ judgment: z.string().nullish(), score: z.string().nullable() }).nullable();

const judgmentSchema = z.object({
  question_id: z.string().min(1),
  model: z.string().min(1),
  judge: z.string().nullish(),
  games: z.array(gameSchema).length(2, 'expected two games, the second with the answers exchanged'),
});

export interface ArenaQuestion {
  id: string;
  question: string;
}

/** @throws DataError for a file of another form, or with a question twice */
export async function readArenaQuestions(file: string): Promise<ArenaQuestion[]> {
  const questions: ArenaQuestion[] = [];
  const expected = 'a question of Arena-Hard 0.1 with question_id and turns';
  for await (const { value, row } of checkedRows(file, questionSchema, expected)) {
    checkNew(
      questions.some(({ id }) => id === value.question_id),
      value.question_id,
      file,
      row,
    );
    questions.push({ id: value.question_id, question: value.turns[0]?.content ?? '' });
  }
  if (questions.length === 0) throw new DataError('there are no questions in it', { file });
  return questions;
}

export interface ArenaAnswers {
  model: string;
  /** By the question's id. */
  texts: Map<string, string>;
}

/** @throws DataError for a file of another form, with a question twice, or answers of several models */
export async function readArenaAnswers(file: string): Promise<ArenaAnswers> {
  const texts = new Map<string, string>();
  let model: string | undefined;
  const expected = 'an answer of Arena-Hard with question_id, model_id and choices';
  for await (const { value, row } of checkedRows(file, answerSchema, expected)) {
    checkNew(texts.has(value.question_id), value.question_id, file, row);
    model ??= value.model_id;
    if (value.model_id !== model) {
      throw new DataError(`expected answers of one model, got ${model} and ${value.model_id}`, { file, row });
    }
    texts.set(value.question_id, value.choices[0]?.turns[0]?.content ?? '');
  }
  if (model === undefined) throw new DataError('there are no answers in it', { file });
  return { model, texts };
}

export interface ArenaJudgments {
  model: string;
  judge: string;
  /** By the question's id. */
  games: Map<string, ArenaGames>;
}

/** @throws DataError for a file of another form, with a question twice, of several models, or with unknown verdicts */
export async function readArenaJudgments(file: string): Promise<ArenaJudgments> {
  const games = new Map<string, ArenaGames>();
  let model: string | undefined;
  let judge = '';
  const expected = 'a judgment of Arena-Hard 0.1 with question_id, model and games';
  for await (const { value, row } of checkedRows(file, judgmentSchema, expected)) {
    checkNew(games.has(value.question_id), value.question_id, file, row);
    model ??= value.model;
    judge ||= value.judge ?? '';
    if (value.model !== model) {
      throw new DataError(`expected judgments of one model, got ${model} and ${value.model}`, { file, row });
    }
    const [first, second] = value.games.map((game) => verdictIn(game?.score ?? null, file, row));
    games.set(value.question_id, [first ?? null, second ?? null]);
  }
  if (model === undefined) throw new DataError('there are no judgments in it', { file });
  return { model, judge, games };
}

function verdictIn(score: string | null, file: string, row: number): ArenaVerdict | null {
  const verdict = ARENA_VERDICTS.find((each) => each === score);
  if (verdict === undefined && score !== null) {
    throw new DataError(`expected a score of ${ARENA_VERDICTS.join(', ')} or null, got ${score}`, {
      file,
      row,
    });
  }
  return verdict ?? null;
}

function checkNew(isThere: boolean, id: string, file: string, row: number): void {
  if (isThere) throw new DataError(`the question ${id} is there twice`, { file, row });
}

/**
 * The answers to the questions, in their order.
 *
 * @throws DataError where one is missing
 */
export function answersTo(
  questions: readonly ArenaQuestion[],
  { model, texts }: ArenaAnswers,
  file: string,
): string[] {
  const missing = questions.filter(({ id }) => !texts.has(id));
  if (missing.length > 0) {
    throw new DataError(
      `${model} has no answer to ${missing.length} of the ${questions.length} questions, such as ${missing[0]?.id}; are they of the same version?`,
      { file },
    );
  }
  return questions.map(({ id }) => texts.get(id) as string);
}
