/** A conversation with its candidate answers as rows of token ids, as the recipe says. */

import { type ChatTemplate, foldSystem } from '../data/chat-template.js';
import type { Message } from '../data/pairs.js';
import { type PersonaTemplate, withPersona } from '../data/persona-prompt.js';
import { chatPrompt, encodePromptText, renderPrompt, requireTemplate } from '../data/prompt.js';
import { endOfTurnTokenId, type Tokenizer } from '../data/tokenizer.js';
import { cutPrompt } from '../data/truncate.js';
import { DataError } from '../errors.js';
import type { RewardRecipe } from './recipe.js';
import type { ScoreRequest } from './reward-model.js';

/** One candidate: all tokens that the model is given, the classification token included. */
export interface AnswerRow {
  ids: number[];
  truncated: boolean;
}

export interface AnswerRowOptions {
  tokenizer: Tokenizer;
  recipe: RewardRecipe;
  personaTemplate: PersonaTemplate;
  /** Id of the recipe's classification token; null where it has none. */
  classificationId: number | null;
}

/**
 * The rows of a request's candidates, in their order. A row depends on conversation, persona and candidate only, never
 * on the other candidates.
 *
 * @throws DataError where there are no candidates, no user message, an answer is empty, or too long by itself
 */
export function answerRows(request: ScoreRequest, options: AnswerRowOptions): AnswerRow[] {
  checkRequest(request);
  const { tokenizer, recipe, personaTemplate, classificationId } = options;
  const template = requireTemplate(tokenizer);
  const messages = withPersona(request.prompt, request.persona, personaTemplate);
  const texts = request.candidates.map((candidate) => conversationText(messages, candidate, template));
  const encode = conversationEncoder(texts, tokenizer, recipe.addSpecialTokens);
  return texts.map((text, i) => {
    const whole = ended(encode(text), recipe, tokenizer);
    const row =
      whole.length <= recipe.maxTokens
        ? { ids: whole, truncated: false }
        : { ids: shortened(whole, { messages, index: i, template, ...options }), truncated: true };
    if (classificationId !== null) row.ids = [...row.ids, classificationId];
    return row;
  });
}

function checkRequest({ prompt, candidates }: ScoreRequest): void {
  if (candidates.length === 0) throw new DataError('There are no candidates: expected at least one answer.');
  if (!prompt.some(({ role }) => role === 'user')) {
    throw new DataError('The conversation has no message of the user: expected at least one.');
  }
  if (prompt.at(-1)?.role === 'assistant') {
    throw new DataError(
      'The conversation ends with an answer: the candidates should follow a message to answer.',
    );
  }
  const empty = candidates.findIndex((candidate) => candidate.trim() === '');
  if (empty !== -1) throw new DataError(`Candidate ${empty + 1} of ${candidates.length} is empty.`);
}

function conversationText(messages: readonly Message[], candidate: string, template: ChatTemplate): string {
  return template.render(foldSystem([...messages, { role: 'assistant', content: candidate }], template));
}

/**
 * Encodes conversations that begin alike. Tokenizers cut a text at special tokens before anything else, so what lies
 * before the last special token that all have in common is encoded once; where that gives other ids than the whole text
 * (tried with the first), whole texts are encoded.
 */
function conversationEncoder(
  texts: readonly string[],
  tokenizer: Tokenizer,
  addSpecialTokens: boolean,
): (text: string) => number[] {
  const whole = (text: string) =>
    addSpecialTokens ? tokenizer.encode(text, { addSpecialTokens }) : encodePromptText(text, tokenizer);
  const [first = ''] = texts;
  const shared = sharedStart(texts);
  const cut = texts.length < 2 ? 0 : lastSpecialEnd(first.slice(0, shared), whole(first), tokenizer);
  if (cut === 0) return whole;
  const head = whole(first.slice(0, cut));
  const split = (text: string) => [...head, ...tokenizer.encode(text.slice(cut))];
  return sameIds(split(first), whole(first)) ? split : whole;
}

function sharedStart([first = '', ...others]: readonly string[]): number {
  let shared = first.length;
  for (const other of others) {
    let i = 0;
    while (i < shared && other[i] === first[i]) i++;
    shared = i;
  }
  return shared;
}

/** Where the last special token in `text` ends, which begins as the text that `ids` are of; 0 where there is none. */
function lastSpecialEnd(text: string, ids: readonly number[], tokenizer: Tokenizer): number {
  const tokens = new Set(ids.filter((id) => tokenizer.specialTokenIds.has(id)));
  const ends = [...tokens].map((id) => {
    const token = tokenizer.idToToken(id) ?? '';
    const start = token === '' ? -1 : text.lastIndexOf(token);
    return start === -1 ? 0 : start + token.length;
  });
  return Math.max(0, ...ends);
}

function sameIds(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}

/** The row up to where the recipe has it end. */
function ended(ids: number[], { end }: RewardRecipe, tokenizer: Tokenizer): number[] {
  if (end === 'template') return ids;
  const token = endOfTurnTokenId(tokenizer) ?? tokenizer.eosTokenId;
  const last = token === null ? -1 : ids.lastIndexOf(token);
  return last === -1 ? ids : ids.slice(0, last + 1);
}

interface Shortening extends AnswerRowOptions {
  messages: readonly Message[];
  template: ChatTemplate;
  /** Which candidate it is, from 0. */
  index: number;
}

function shortened(whole: readonly number[], options: Shortening): number[] {
  const { messages, template, tokenizer, recipe, index } = options;
  const { maxTokens, truncation } = recipe;
  const prompt = chatPrompt(messages, renderPrompt(messages, template), tokenizer, template);
  // A beginning-of-sequence token that the tokenizer put before that of the chat template.
  const lead = recipe.addSpecialTokens && whole[0] === whole[1] && whole[0] === tokenizer.bosTokenId ? 1 : 0;
  const shared = commonLength(whole.slice(lead), prompt.ids);
  const answer = whole.slice(lead + shared);
  const before = whole.length - answer.length;
  if (truncation === 'end') {
    if (before < maxTokens) return whole.slice(0, maxTokens);
    throw new DataError(
      `Nothing of candidate ${index + 1} is left: the conversation before it takes ${before} tokens, the reward model reads ${maxTokens}.`,
    );
  }
  // Where a template asks for an answer in other words than it writes one, those stand at the prompt's end.
  const unshared = prompt.ids.length - shared;
  const kept = cutPrompt(prompt, maxTokens - lead - answer.length + unshared, 'keep_end');
  const context = [...whole.slice(0, lead), ...kept.slice(0, kept.length - unshared)];
  if (context.length + answer.length <= maxTokens) return [...context, ...answer];
  throw new DataError(
    `Candidate ${index + 1} is too long: it takes ${answer.length} tokens and what must stay of the conversation ${context.length}; the reward model reads ${maxTokens}.`,
  );
}

/** How many ids two rows have in common from their beginning. */
export function commonLength(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
