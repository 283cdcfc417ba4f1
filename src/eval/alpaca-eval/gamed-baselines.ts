/**
 * What the length-controlled win rate of AlpacaEval 2 rests on beside the annotations: how difficult each instruction is,
 * and annotations of the baseline told to be brief or verbose, which say how much the judge cares for length alone.
 */
import { z } from 'zod';
import { DataError } from '../../errors.js';
import { checkedRows } from '../table-rows.js';

/** Where alpaca_eval has the file; fetched by the user, and not part of this package. */
export const GAMED_COMMAND =
  'curl -L -o df_gamed.csv \\\n    https://huggingface.co/datasets/tatsu-lab/alpaca_eval/resolve/main/df_gamed.csv';

/** The model that all of this is of. */
export const ALPACA_BASELINE = 'gpt4_1106_preview';

/** Instructions of AlpacaEval. */
export const ALPACA_QUESTIONS = 805;

export interface GamedBaselines {
  /** By the number of the instruction, from 0. */
  difficulty: readonly number[];
  rows: readonly { tanhLength: number; difficulty: number; share: number }[];
}

const number = z
  .union([z.number(), z.string().trim().min(1)])
  .transform(Number)
  .pipe(z.number());

const rowSchema = z.object({
  index: number.pipe(z.number().int().min(0)),
  std_delta_len: number,
  instruction_difficulty: number,
  preference: number.pipe(z.number().min(0).max(1)),
});

/**
 * Reads `df_gamed.csv` as alpaca_eval publishes it.
 *
 * @throws DataError for a file of another form, and one that does not have each of the 805 instructions
 */
export async function readGamedBaselines(file: string): Promise<GamedBaselines> {
  const difficulty: number[] = [];
  const rows: { tanhLength: number; difficulty: number; share: number }[] = [];
  const expected = 'a row of df_gamed.csv with index, std_delta_len, instruction_difficulty and preference';
  for await (const { value } of checkedRows(file, rowSchema, expected)) {
    difficulty[value.index] ??= value.instruction_difficulty;
    rows.push({
      tanhLength: Math.tanh(value.std_delta_len),
      difficulty: value.instruction_difficulty,
      share: value.preference,
    });
  }
  if (difficulty.length !== ALPACA_QUESTIONS || difficulty.includes(undefined as never)) {
    const count = difficulty.filter((each) => each !== undefined).length;
    throw new DataError(
      `expected the difficulty of ${ALPACA_QUESTIONS} instructions, got that of ${count}; it comes with: ${GAMED_COMMAND}`,
      { file },
    );
  }
  return { difficulty, rows };
}
