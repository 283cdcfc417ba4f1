import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import type { Message } from '../data/pairs.js';
import { answer } from './answers.js';
import { newCommand } from './command.js';
import {
  addModelFlags,
  type ModelFlags,
  type OpenModel,
  openModel,
  type PersonaFlags,
  personaTemplateOf,
} from './open-model.js';
import { createProgress } from './progress.js';
import { addSamplingFlags, type SamplingFlags } from './sampling-flags.js';

interface ChatFlags extends ModelFlags, SamplingFlags, PersonaFlags {
  system?: string;
  persona?: string;
}

const HELP = `/persona TEXT  sets the persona; without TEXT shows it, with - removes it
/reset         forgets the conversation
/exit          ends (Ctrl-D does, too)`;

export function chatCommand(): Command {
  const command = newCommand(
    'chat',
    {
      summary: 'talk with a model in the terminal',
      description: `Talks with a model. Ctrl-C stops an answer. Commands in the chat:\n\n${HELP}`,
      examples: [
        ['persona-dpo chat --model HuggingFaceTB/SmolLM2-135M-Instruct'],
        ['persona-dpo chat --model ./base --adapter out/adapter --persona "- Wants bullet points"'],
      ],
    },
    { json: null },
  )
    .option('--system <TEXT>', 'system message')
    .option('--persona <TEXT>', 'what is known about the user')
    .option('--persona-template <FILE>', 'Jinja template that puts the persona into words');
  addModelFlags(command);
  return addSamplingFlags(command, { temperature: 0.7 }).action(async (flags: ChatFlags) => {
    const progress = createProgress();
    const opened = await openModel(flags, progress);
    try {
      await chat(opened, flags);
    } finally {
      opened.dispose();
    }
  });
}

async function chat(opened: OpenModel, flags: ChatFlags): Promise<void> {
  const personaTemplate = personaTemplateOf(flags);
  const beginning: Message[] = flags.system === undefined ? [] : [{ role: 'system', content: flags.system }];
  let messages = [...beginning];
  let persona = flags.persona;
  let turn = 0;
  const terminal = createInterface({
    input: process.stdin,
    output: process.stderr,
    terminal: process.stdin.isTTY,
  });
  process.stderr.write(`${opened.origin.id}. /help shows what can be typed.\n`);
  terminal.setPrompt('> ');
  // Input from a pipe may have ended while lines of it are still to be answered.
  let ended = false;
  terminal.on('close', () => {
    ended = true;
  });
  terminal.prompt();
  for await (const line of terminal) {
    const [command, ...rest] = line.trim().split(/\s+/);
    const argument = rest.join(' ');
    if (command === '/exit') break;
    else if (command === '/reset') messages = [...beginning];
    else if (command === '/persona') {
      if (argument !== '') persona = argument === '-' ? undefined : argument;
      process.stderr.write(`persona: ${persona ?? 'none'}\n`);
    } else if (command?.startsWith('/')) process.stderr.write(`${HELP}\n`);
    else if (line.trim() !== '') {
      const asked: Message[] = [...messages, { role: 'user', content: line.trim() }];
      const reply = await sayUntilStopped(terminal, (signal) => {
        const pieces: string[] = [];
        const onText = (piece: string) => {
          pieces.push(piece);
          process.stdout.write(piece);
        };
        const options = { personaTemplate, onText, signal };
        // Each turn has its own draw, and the whole chat repeats itself with the same seed.
        const sampling = { ...flags, seed: flags.seed + turn };
        return answer(opened, [{ messages: asked, persona }], sampling, options).then(
          ([answers]) => answers?.[0]?.text ?? '',
          (error: unknown) => {
            if (signal.aborted) return pieces.join('');
            throw error;
          },
        );
      });
      process.stdout.write('\n');
      messages = [...asked, { role: 'assistant', content: reply }];
      turn += 1;
    }
    if (!ended) terminal.prompt();
  }
  terminal.close();
}

/** Ctrl-C stops the answer at hand; where none is being given, readline ends the chat. */
async function sayUntilStopped(
  terminal: ReturnType<typeof createInterface>,
  say: (signal: AbortSignal) => Promise<string>,
): Promise<string> {
  const controller = new AbortController();
  const stop = () => controller.abort();
  terminal.on('SIGINT', stop);
  try {
    return await say(controller.signal);
  } finally {
    terminal.off('SIGINT', stop);
  }
}
