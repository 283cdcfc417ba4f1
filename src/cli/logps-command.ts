import type { Command } from 'commander';
import { DataError } from '../errors.js';
import { newCommand, numberFlag, printJson, wholeNumber } from './command.js';
import { withInterrupt } from './interrupt.js';
import {
  addModelFlags,
  type ModelFlags,
  openModel,
  type PersonaFlags,
  personaTemplateOf,
} from './open-model.js';
import { createProgress } from './progress.js';

interface LogpsFlags extends ModelFlags, PersonaFlags {
  pairs: string;
  perToken?: boolean;
  maxLength?: number;
  tokenBudget: number;
  persona: boolean;
}

export function logpsCommand(): Command {
  const command = newCommand(
    'logps',
    {
      summary: 'log-probabilities of the responses of a pairs file',
      description:
        'Prints a line of JSON for each pair: the sums of the log-probabilities of its chosen and rejected ' +
        'response under the model, their numbers of tokens, and with --per-token those of every token with its id. ' +
        'Pairs that cannot be used are named on standard error.',
      examples: [
        ['persona-dpo logps --model HuggingFaceTB/SmolLM2-135M-Instruct --pairs pairs.jsonl > logps.jsonl'],
        ['persona-dpo logps --model ./base --adapter out/adapter --pairs held-out.jsonl --per-token'],
      ],
    },
    { json: null },
  )
    .requiredOption('--pairs <FILE>', 'preference pairs, JSONL')
    .option('--per-token', "every token's log-probability as well")
    .option(
      '--max-length <TOKENS>',
      'shorten prompts to this many tokens in all',
      numberFlag('a whole number from 2', wholeNumber(2)),
    )
    .option(
      '--token-budget <TOKENS>',
      'most tokens of one forward pass',
      numberFlag('a whole number from 1', wholeNumber(1)),
      2048,
    )
    .option('--persona-template <FILE>', 'Jinja template that puts the persona into words')
    .option('--no-persona', 'leave the personas out');
  return addModelFlags(command).action(async (flags: LogpsFlags) => {
    const progress = createProgress();
    await withInterrupt(
      (signal) => printLogps(flags, progress, signal),
      () => progress.line('Stopping.'),
    ).finally(() => progress.end());
  });
}

async function printLogps(
  flags: LogpsFlags,
  progress: ReturnType<typeof createProgress>,
  signal: AbortSignal,
) {
  const [{ readPairs }, { checkFile }, { tokenizePairs }, { pairLogps }] = await Promise.all([
    import('../data/read-pairs.js'),
    import('../train/check-inputs.js'),
    import('../data/tokenize.js'),
    import('../train/pair-logps.js'),
  ]);
  checkFile('--pairs', flags.pairs);
  const { pairs, bad } = await readPairs(flags.pairs);
  for (const { line, reason } of bad) progress.line(`note: ${flags.pairs}:${line}: ${reason}`);
  const opened = await openModel(flags, progress, signal);
  const { model, tokenizer } = opened;
  const asked = flags.persona
    ? pairs
    : pairs.map(({ persona: _, ...pair }) => pair as (typeof pairs)[number]);
  const { tokenized, dropped } = tokenizePairs(asked, tokenizer, {
    maxLength: flags.maxLength ?? null,
    personaTemplate: personaTemplateOf(flags),
  });
  for (const { id, reason } of dropped) progress.line(`note: pair ${id} is left out: ${reason}`);
  if (tokenized.length === 0)
    throw new DataError(`none of the ${pairs.length} pairs can be used`, { file: flags.pairs });
  let done = 0;
  for await (const { pair, chosenLogps, rejectedLogps } of pairLogps(model, tokenized, {
    tokenBudget: flags.tokenBudget,
    signal,
  })) {
    printJson({
      id: pair.id,
      ...(pair.user === undefined ? {} : { user: pair.user }),
      chosen_logps: sum(chosenLogps),
      rejected_logps: sum(rejectedLogps),
      prompt_tokens: pair.promptIds.length,
      chosen_tokens: chosenLogps.length,
      rejected_tokens: rejectedLogps.length,
      ...(flags.perToken
        ? {
            chosen_ids: pair.chosenIds,
            chosen_token_logps: Array.from(chosenLogps),
            rejected_ids: pair.rejectedIds,
            rejected_token_logps: Array.from(rejectedLogps),
          }
        : {}),
    });
    done += 1;
    progress.update('log-probabilities', done, tokenized.length, `${done}/${tokenized.length} pairs`);
  }
  opened.dispose();
}

function sum(values: Float32Array): number {
  return values.reduce((total, value) => total + value, 0);
}
