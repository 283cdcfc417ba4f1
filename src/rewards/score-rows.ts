/** Rows of conversations with answers, each answer to get its reward. */

import { BadRowError, describe, isObject, parsePairRow } from '../data/pair-formats.js';
import { isPreferencePair, isTextPair } from '../data/pairs.js';
import { parsePromptRow } from '../data/prompt-rows.js';
import type { CheckedRow } from '../data/read-rows.js';
import type { Tally } from '../data/tally.js';
import { DataError } from '../errors.js';
import type { RewardScorer, ScoreRequest } from './reward-model.js';

/** A row as it came, and what is asked of it. */
export interface ScoreRow {
  row: Record<string, unknown>;
  request: ScoreRequest;
  /** Whether the candidates are the chosen and the rejected answer of a preference pair. */
  isPair: boolean;
}

/**
 * One parsed JSON row: `prompt` (messages, or a user's words) with `candidates` (texts), or a preference pair in any form
 * that `readPairs` takes, but token ids. `persona` may stand beside either; other keys are kept.
 *
 * @throws BadRowError that says what was expected and what came
 */
export function parseScoreRow(value: unknown): ScoreRow {
  if (!isObject(value)) throw new BadRowError(`expected a JSON object, got ${describe(value)}`);
  if (value.candidates !== undefined) return candidatesRow(value);
  if (value.chosen !== undefined || value.chosen_ids !== undefined) return pairRow(value);
  throw new BadRowError(
    `expected "prompt" with "candidates", or a pair with "chosen" and "rejected"; got only ${Object.keys(value).join(', ') || 'no keys'}`,
  );
}

function candidatesRow(row: Record<string, unknown>): ScoreRow {
  const { prompt, persona } = parsePromptRow(row);
  const { candidates } = row;
  if (!Array.isArray(candidates)) {
    throw new BadRowError(`candidates: expected a list of texts, got ${describe(candidates)}`);
  }
  if (candidates.length === 0) throw new BadRowError('candidates: expected at least one answer, got none');
  for (const [i, candidate] of candidates.entries()) {
    if (typeof candidate !== 'string') {
      throw new BadRowError(`candidates[${i}]: expected a text, got ${describe(candidate)}`);
    }
    if (candidate.trim() === '')
      throw new BadRowError(`candidates[${i}]: expected an answer, got an empty text`);
  }
  const request = { prompt, candidates, ...(persona === undefined ? {} : { persona }) };
  return { row, request, isPair: false };
}

function pairRow(row: Record<string, unknown>): ScoreRow {
  const pair = parsePairRow(row);
  const known = pair.persona === undefined ? {} : { persona: pair.persona };
  if (isPreferencePair(pair)) {
    const candidates = [pair.chosen, pair.rejected].map(([message]) => message?.content ?? '');
    return { row, request: { prompt: pair.prompt, candidates, ...known }, isPair: true };
  }
  if (!isTextPair(pair)) throw new BadRowError('expected texts or messages, got a pair of token ids');
  const prompt = [{ role: 'user' as const, content: pair.promptText }];
  return {
    row,
    request: { prompt, candidates: [pair.chosenText, pair.rejectedText], ...known },
    isPair: true,
  };
}

/** What came of a row: its rewards, or why it has none. */
export type ScoredRow =
  | { ok: true; line: number; row: ScoreRow; rewards: number[] }
  | { ok: false; line: number; reason: string; raw: string };

export interface ScoreRowsOptions {
  /** Whether personas are shown to the reward model: user-based rewards. Default true. */
  persona?: boolean;
  /** Rows in, out, and dropped as `bad-row` (cannot be read) or `cannot-be-scored`. */
  tally: Tally;
  /** What the rows' file is called in `tally`. */
  file: string;
  signal?: AbortSignal;
}

/** Rows that are with the model at once: enough for full batches, whatever the rows' lengths. */
const ROWS_UNDER_WAY = 128;

/** Scores rows as fast as they are read, and gives them in their order. What cannot be scored is given with its reason. */
export async function* scoreRows(
  rows: AsyncIterable<CheckedRow<ScoreRow>>,
  scorer: RewardScorer,
  { persona = true, tally, file, signal }: ScoreRowsOptions,
): AsyncGenerator<ScoredRow, void, void> {
  const underWay: Promise<ScoredRow>[] = [];
  const finish = async (): Promise<ScoredRow> => {
    const scored = await (underWay.shift() as Promise<ScoredRow>);
    if (scored.ok) tally.leave();
    return scored;
  };
  const drop = (line: number, reason: string, detail: string) =>
    tally.drop({ id: String(line), reason, detail, file, row: line });
  for await (const read of rows) {
    tally.enter();
    const scored = scoreRow(read, scorer, { persona, ...(signal === undefined ? {} : { signal }) }, drop);
    // Awaited in order, and perhaps after another has failed: that must not end the process.
    scored.catch(() => undefined);
    underWay.push(scored);
    if (underWay.length >= ROWS_UNDER_WAY) yield await finish();
  }
  while (underWay.length > 0) yield await finish();
}

async function scoreRow(
  read: CheckedRow<ScoreRow>,
  scorer: RewardScorer,
  { persona, signal }: { persona: boolean; signal?: AbortSignal },
  drop: (line: number, reason: string, detail: string) => void,
): Promise<ScoredRow> {
  const { line } = read;
  if (!read.ok) {
    drop(line, 'bad-row', read.reason);
    return { ok: false, line, reason: read.reason, raw: read.raw };
  }
  const { row } = read;
  const { persona: known, ...agnostic } = row.request;
  const request = persona && known !== undefined ? { ...agnostic, persona: known } : agnostic;
  try {
    const rewards = await scorer.score(request, signal === undefined ? {} : { signal });
    return { ok: true, line, row, rewards };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    drop(line, 'cannot-be-scored', error.message);
    return { ok: false, line, reason: error.message, raw: JSON.stringify(row.row) };
  }
}

/** The row with its rewards beside what it held; a pair with `scores`, too. */
export function scoredRecord({ row, isPair }: ScoreRow, rewards: readonly number[]): Record<string, unknown> {
  const [chosen, rejected] = rewards;
  return { ...row, ...(isPair ? { scores: { chosen, rejected } } : {}), rewards };
}
