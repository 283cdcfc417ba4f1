import type { Command } from 'commander';
import { numberFlag, wholeNumber } from './command.js';

/** Flags of every command that lets a model write. */
export interface SamplingFlags {
  maxNewTokens: number;
  temperature: number;
  topK: number;
  topP: number;
  repetitionPenalty: number;
  seed: number;
  stop?: string[];
}

export function addSamplingFlags(command: Command, defaults: { temperature: number }): Command {
  return command
    .optionsGroup('Sampling:')
    .option(
      '--max-new-tokens <NUMBER>',
      'most tokens of an answer',
      numberFlag('a whole number from 1', wholeNumber(1)),
      256,
    )
    .option(
      '--temperature <NUMBER>',
      '0 always takes the likeliest token',
      numberFlag('a number from 0', (value) => value >= 0 && Number.isFinite(value)),
      defaults.temperature,
    )
    .option(
      '--top-k <NUMBER>',
      'draw from this many likeliest tokens only; 0: all',
      numberFlag('a whole number from 0', wholeNumber(0)),
      0,
    )
    .option(
      '--top-p <SHARE>',
      'draw from the likeliest tokens that make up this probability',
      numberFlag('a number above 0, at most 1', (value) => value > 0 && value <= 1),
      1,
    )
    .option(
      '--repetition-penalty <NUMBER>',
      'above 1 makes words that have come before less likely',
      numberFlag('a number above 0', (value) => value > 0 && Number.isFinite(value)),
      1,
    )
    .option(
      '--seed <NUMBER>',
      'the same seed gives the same answers',
      numberFlag('a whole number from 0', wholeNumber(0)),
      0,
    )
    .option('--stop <TEXT...>', 'end an answer before any of these texts');
}
