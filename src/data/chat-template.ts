/**
 * Chat templates: a model's own Jinja template, rendered by `@huggingface/jinja` as `transformers` renders it
 * (`trim_blocks`, `lstrip_blocks`, `tools` and `documents` none, `raise_exception`, `strftime_now`).
 */
import { DataError } from '../errors.js';
import { compileJinja } from './jinja.js';
import type { Message } from './pairs.js';

export interface RenderOptions {
  /** Ends the text with the words after which the model answers. Default false. */
  addGenerationPrompt?: boolean;
}

export interface ChatTemplate {
  readonly source: string;
  /** What the template sees beside the messages, for the record. */
  readonly variables: Readonly<Record<string, unknown>>;
  /** Whether a leading system message shows in the rendered text; if not it is put before the first user message. */
  readonly rendersSystem: boolean;
  /** @throws DataError with the template's own words when it refuses the messages */
  render(messages: readonly Message[], options?: RenderOptions): string;
  /** How the template surrounds an answer. */
  answerFrame(): AnswerFrame;
}

/** For any prompt: `render(prompt + answer) = render(prompt, addGenerationPrompt) + lead + answer + end`. */
export interface AnswerFrame {
  /** What follows the last user message in a prompt, up to where the model goes on. */
  generationPrompt: string;
  /** Text between the generation prompt and the answer; a space in Llama 2's template, mostly empty. */
  lead: string;
  /** Text after the answer: the end of the turn, and what the template puts after it. */
  end: string;
  /** Whether the template strips white space around the answer. */
  trims: boolean;
}

export interface ChatTemplateOptions {
  bosToken?: string;
  eosToken?: string;
  /**
   * Further variables. Default `{ enable_thinking: false }`: answers in preference data come without a
   * reasoning trace, and a template that knows the switch (Qwen3) then puts an empty one into the prompt
   * instead of asking the model for it.
   */
  variables?: Record<string, unknown>;
  /** The day `strftime_now` gives (Llama 3.2 writes it into the system prompt). Default: the time of rendering. */
  now?: Date;
}

const DEFAULT_VARIABLES = { enable_thinking: false };

/** @throws ConfigError when the template is not valid Jinja */
export function createChatTemplate(source: string, options: ChatTemplateOptions = {}): ChatTemplate {
  const { bosToken, eosToken, now, variables = DEFAULT_VARIABLES } = options;
  const tokens = {
    ...(bosToken === undefined ? {} : { bos_token: bosToken }),
    ...(eosToken === undefined ? {} : { eos_token: eosToken }),
  };
  const render = compileJinja(source, 'chat template', now);
  let frame: AnswerFrame | undefined;
  let rendersSystem: boolean | undefined;

  const template: ChatTemplate = {
    source,
    variables,
    get rendersSystem() {
      rendersSystem ??= probeSystem(template);
      return rendersSystem;
    },
    render(messages, { addGenerationPrompt = false } = {}) {
      return render({
        messages,
        add_generation_prompt: addGenerationPrompt,
        tools: null,
        documents: null,
        ...tokens,
        ...variables,
      });
    },
    answerFrame() {
      frame ??= probeAnswer(template);
      return frame;
    },
  };
  return template;
}

/**
 * The messages as the template can take them: where it has no place for a system message, the system text
 * becomes the beginning of the first user message.
 */
export function foldSystem(messages: readonly Message[], template: ChatTemplate): readonly Message[] {
  const [first, ...rest] = messages;
  if (first?.role !== 'system' || template.rendersSystem) return messages;
  const user = rest.findIndex(({ role }) => role === 'user');
  if (user === -1) return [{ role: 'user', content: first.content }, ...rest];
  return rest.map((message, index) =>
    index === user ? { role: 'user', content: `${first.content}\n\n${message.content}` } : message,
  );
}

// Words that no template contains, in letters that none changes.
const SYSTEM_PROBE = 'zqsystemqz';
const USER_PROBE = 'zquserqz';
const ANSWER_PROBE = 'zqanswerqz';

function probeSystem(template: ChatTemplate): boolean {
  try {
    const messages: Message[] = [
      { role: 'system', content: SYSTEM_PROBE },
      { role: 'user', content: USER_PROBE },
    ];
    return template.render(messages, { addGenerationPrompt: true }).includes(SYSTEM_PROBE);
  } catch {
    return false;
  }
}

function probeAnswer(template: ChatTemplate): AnswerFrame {
  const user: Message = { role: 'user', content: USER_PROBE };
  const prompt = template.render([user], { addGenerationPrompt: true });
  const answered = (content: string) => template.render([user, { role: 'assistant', content }]);
  const whole = answered(ANSWER_PROBE);
  const start = whole.lastIndexOf(ANSWER_PROBE);
  if (start === -1) throw new DataError('The chat template does not show the assistant message.');
  if (!whole.startsWith(prompt) || start < prompt.length) {
    const tail = JSON.stringify(prompt.slice(-60));
    throw new DataError(
      `The chat template asks for an answer after ${tail}, but writes answers elsewhere: ` +
        `${JSON.stringify(whole.slice(0, start).slice(-60))}. Prompt and answer cannot be told apart; give a template ` +
        'file in which they can.',
    );
  }
  const userEnd = prompt.lastIndexOf(USER_PROBE) + USER_PROBE.length;
  return {
    generationPrompt: prompt.slice(userEnd),
    lead: whole.slice(prompt.length, start),
    end: whole.slice(start + ANSWER_PROBE.length),
    trims: !answered(` ${ANSWER_PROBE} `).includes(` ${ANSWER_PROBE} `),
  };
}
