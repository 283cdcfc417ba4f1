/** Conversations to the token ids that a model is given to answer them. */
import { ConfigError } from '../errors.js';
import { type ChatTemplate, foldSystem } from './chat-template.js';
import type { Message } from './pairs.js';
import { type PersonaTemplate, withPersona } from './persona-prompt.js';
import type { Tokenizer } from './tokenizer.js';

export interface PromptOptions {
  /** How the persona is put into words. Default: ours, see `DEFAULT_PERSONA_TEMPLATE`. */
  personaTemplate?: PersonaTemplate;
}

/**
 * The ids a model is given to answer a conversation: with the persona's system message, in the chat template,
 * ending with the generation prompt, with at most one beginning-of-sequence token.
 *
 * @throws ConfigError when the model has no chat template
 * @throws DataError when the template refuses the messages
 */
export function encodePrompt(
  messages: readonly Message[],
  tokenizer: Tokenizer,
  { persona, personaTemplate }: PromptOptions & { persona?: string | undefined } = {},
): number[] {
  const template = requireTemplate(tokenizer);
  return encodePromptText(renderPrompt(withPersona(messages, persona, personaTemplate), template), tokenizer);
}

export interface EncodedPrompt {
  ids: number[];
  /** How many tokens at its beginning and end truncation leaves alone. */
  edges(): { head: number; tail: number };
  /** The prompt with its oldest exchange left out; null when only the last one is left. */
  shorten(): EncodedPrompt | null;
}

export function renderPrompt(messages: readonly Message[], template: ChatTemplate): string {
  return template.render(foldSystem(messages, template), { addGenerationPrompt: true });
}

export function encodePromptText(text: string, tokenizer: Tokenizer): number[] {
  const ids = tokenizer.encode(text);
  const { bosTokenId } = tokenizer;
  return bosTokenId !== null && ids[0] === bosTokenId && ids[1] === bosTokenId ? ids.slice(1) : ids;
}

/**
 * A chat prompt and its shorter forms. The head is what comes before the first word after the system message
 * (beginning of sequence, system message with the persona, the opening of a turn), the tail what follows the
 * last message (its end, and the generation prompt): without them the model would be asked something else.
 */
export function chatPrompt(
  messages: readonly Message[],
  promptText: string,
  tokenizer: Tokenizer,
  template: ChatTemplate,
): EncodedPrompt {
  const ids = encodePromptText(promptText, tokenizer);
  return {
    ids,
    edges: () => promptEdges(messages, ids, tokenizer, template),
    shorten() {
      const system = messages[0]?.role === 'system' ? 1 : 0;
      const next = messages.findIndex(({ role }, index) => index > system && role === 'user');
      if (next === -1) return null;
      const shorter = [...messages.slice(0, system), ...messages.slice(next)];
      return chatPrompt(shorter, renderPrompt(shorter, template), tokenizer, template);
    },
  };
}

function promptEdges(
  messages: readonly Message[],
  promptIds: readonly number[],
  tokenizer: Tokenizer,
  template: ChatTemplate,
): { head: number; tail: number } {
  const system = messages.slice(0, messages[0]?.role === 'system' ? 1 : 0);
  // Two different contents, so that neither happens to begin or end like the prompt.
  const lengths = ['zq', '7!'].map((content) => {
    const ids = encodePromptText(renderPrompt([...system, { role: 'user', content }], template), tokenizer);
    const most = Math.min(ids.length, promptIds.length);
    let head = 0;
    while (head < most && ids[head] === promptIds[head]) head++;
    let tail = 0;
    while (tail < most - head && ids.at(-1 - tail) === promptIds.at(-1 - tail)) tail++;
    return { head, tail };
  });
  return {
    head: Math.min(...lengths.map(({ head }) => head)),
    tail: Math.min(...lengths.map(({ tail }) => tail)),
  };
}

export function requireTemplate(tokenizer: Tokenizer): ChatTemplate {
  if (tokenizer.chatTemplate !== null) return tokenizer.chatTemplate;
  throw new ConfigError(
    'The model has no chat template, so conversations cannot be turned into its tokens. Give a template file ' +
      '(chat_template_path), or pairs of plain strings or token ids.',
  );
}
