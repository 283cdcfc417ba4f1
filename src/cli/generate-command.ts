import { text as readAll } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { Message } from '../data/pairs.js';
import { ConfigError, DataError } from '../errors.js';
import type { TextCompletion } from '../models/generation/generate-text.js';
import { answer, type Question } from './answers.js';
import { newCommand, numberFlag, print, printJson, readTextFlag, wholeNumber } from './command.js';
import { withInterrupt } from './interrupt.js';
import {
  addModelFlags,
  type ModelFlags,
  openModel,
  type PersonaFlags,
  personaTemplateOf,
} from './open-model.js';
import { createProgress, type Progress } from './progress.js';
import { addSamplingFlags, type SamplingFlags } from './sampling-flags.js';

interface GenerateFlags extends ModelFlags, SamplingFlags, PersonaFlags {
  prompt?: string;
  prompts?: string;
  system?: string;
  persona?: string;
  samples: number;
  batchSize: number;
  json?: boolean;
}

export function generateCommand(): Command {
  const command = newCommand(
    'generate',
    {
      summary: 'answer one prompt or a file of them',
      description:
        'Answers --prompt, the rows of a --prompts file, or what comes on standard input. A row is {"prompt": TEXT or ' +
        'messages, "persona": TEXT}; the rows of a preference file will do. An answer to a single prompt is printed ' +
        'as it comes; --json prints a line for each prompt.',
      examples: [
        [
          'persona-dpo generate --model HuggingFaceTB/SmolLM2-135M-Instruct --prompt "How long do I boil eggs?"',
        ],
        [
          'persona-dpo generate --model ./base --adapter out/adapter --persona "- Wants bullet points" --prompt "Plan my day"',
          'as one user would get it',
        ],
        [
          'persona-dpo generate --model ./base --prompts pairs.jsonl --samples 4 --temperature 0.7 --json > answers.jsonl',
          'four answers to each prompt of a file',
        ],
        ['echo "Write a haiku" | persona-dpo generate --model ./base'],
      ],
    },
    { json: 'print a line of JSON for each prompt' },
  )
    .option('--prompt <TEXT>', 'what the user says')
    .option('--prompts <FILE>', 'JSONL file of prompts')
    .option('--system <TEXT>', 'system message, for prompts that have none')
    .option('--persona <TEXT>', 'what is known about the user, for prompts that have no persona')
    .option('--persona-template <FILE>', 'Jinja template that puts the persona into words')
    .option(
      '--samples <NUMBER>',
      'answers to each prompt',
      numberFlag('a whole number from 1', wholeNumber(1)),
      1,
    )
    .option(
      '--batch-size <NUMBER>',
      'prompts answered together',
      numberFlag('a whole number from 1', wholeNumber(1)),
      8,
    );
  addModelFlags(command);
  return addSamplingFlags(command, { temperature: 0 }).action(async (flags: GenerateFlags) => {
    const progress = createProgress();
    await withInterrupt(
      (signal) => generateAnswers(flags, progress, signal),
      () => progress.line('Stopping.'),
    ).finally(() => progress.end());
  });
}

async function generateAnswers(flags: GenerateFlags, progress: Progress, signal: AbortSignal): Promise<void> {
  const questions = await readQuestions(flags);
  const personaTemplate = personaTemplateOf(flags);
  const opened = await openModel(flags, progress, signal);
  const streams = questions.length === 1 && flags.samples === 1 && flags.json !== true;
  try {
    for (let start = 0; start < questions.length; start += flags.batchSize) {
      const group = questions.slice(start, start + flags.batchSize);
      const answers = await answer(opened, group, flags, {
        samples: flags.samples,
        personaTemplate,
        signal,
        ...(streams ? { onText: (piece: string) => void process.stdout.write(piece) } : {}),
      }).catch((error: unknown) => {
        throw flags.prompts === undefined ? error : withRow(error, flags.prompts, start);
      });
      if (streams) process.stdout.write('\n');
      else for (const [i, question] of group.entries()) show(question, answers[i] ?? [], flags);
      const done = Math.min(questions.length, start + group.length);
      if (questions.length > 1)
        progress.update('answering', done, questions.length, `${done}/${questions.length} prompts`);
    }
  } finally {
    opened.dispose();
  }
}

/** An error about one prompt of a batch, with its row in the file, of which the batch begins behind row `start`. */
function withRow(error: unknown, file: string, start: number): unknown {
  if (!(error instanceof DataError) || typeof error.details.prompt !== 'number') return error;
  const message = error.message.replace(/^Prompt \d+/, 'the prompt');
  return new DataError(message, { file, row: start + error.details.prompt + 1, cause: error });
}

function show(
  { messages, persona }: Question,
  answers: readonly TextCompletion[],
  { json }: GenerateFlags,
): void {
  if (json) {
    const completions = answers.map(({ text, ids, finishReason }) => ({
      text,
      tokens: ids.length,
      finish_reason: finishReason,
    }));
    printJson({ prompt: messages, ...(persona === undefined ? {} : { persona }), completions });
    return;
  }
  print(`> ${messages.at(-1)?.content ?? ''}`);
  for (const { text } of answers) print(`${text}\n`);
}

/** The prompts that the flags or standard input give, with persona and system message filled in. */
export async function readQuestions(flags: {
  prompt?: string | undefined;
  prompts?: string | undefined;
  system?: string | undefined;
  persona?: string | undefined;
}): Promise<Question[]> {
  if (flags.prompt !== undefined && flags.prompts !== undefined) {
    throw new ConfigError('give --prompt or --prompts, not both');
  }
  const rows =
    flags.prompts === undefined
      ? [{ prompt: flags.prompt ?? (await standardInput()) }]
      : parseRows(readTextFlag(flags.prompts, '--prompts'), flags.prompts);
  return rows.map((row, i) => questionOf(row, flags, flags.prompts, i + 1));
}

async function standardInput(): Promise<string> {
  if (process.stdin.isTTY)
    throw new ConfigError('give --prompt TEXT, --prompts FILE, or text on standard input');
  const text = (await readAll(process.stdin)).trim();
  if (text === '') throw new ConfigError('standard input holds no prompt');
  return text;
}

function parseRows(text: string, file: string): unknown[] {
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    try {
      return [JSON.parse(line) as unknown];
    } catch (cause) {
      throw new DataError('expected a row of JSON', { file, row: i + 1, cause });
    }
  });
}

function questionOf(
  row: unknown,
  defaults: { system?: string | undefined; persona?: string | undefined },
  file: string | undefined,
  number: number,
): Question {
  const { prompt, persona } = (typeof row === 'string' ? { prompt: row } : (row ?? {})) as {
    prompt?: unknown;
    persona?: unknown;
  };
  const messages: Message[] | undefined =
    typeof prompt === 'string'
      ? [{ role: 'user', content: prompt }]
      : isConversation(prompt)
        ? prompt
        : undefined;
  if (messages === undefined) {
    throw new DataError('expected "prompt" to be a text or a list of messages with role and content', {
      ...(file === undefined ? {} : { file, row: number }),
    });
  }
  const system = messages[0]?.role === 'system' ? undefined : defaults.system;
  return {
    messages: system === undefined ? messages : [{ role: 'system', content: system }, ...messages],
    persona: typeof persona === 'string' ? persona : defaults.persona,
  };
}

function isConversation(value: unknown): value is Message[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((message) => typeof message?.role === 'string' && typeof message?.content === 'string')
  );
}
