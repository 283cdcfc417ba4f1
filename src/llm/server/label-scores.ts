/**
 * Log-likelihoods of labels from a server, in one of two ways:
 *
 * - Labels that differ in their first character are told apart by the first token of the reply, of which chat
 *   completions give the likeliest 20 with their log-probabilities (`logprobs`, `top_logprobs`: OpenAI, vLLM,
 *   llama.cpp, which give them before sampling). One request for all labels.
 * - Others need the log-probability of a given reply, which of all servers vLLM alone gives for chats
 *   (`prompt_logprobs` with `continue_final_message`). One request for each label.
 */
import type { Tokenizer } from '../../data/tokenizer.js';
import { ConfigError } from '../../errors.js';
import type { ChatRequest, LabelReply } from '../chat-model.js';
import { plainMessages } from '../plain-messages.js';
import type { Completion } from './completion.js';
import type { RequestBody } from './request-body.js';

/** The most that OpenAI gives, and vLLM unless told otherwise. */
const TOP = 20;

/** What to do about a server that cannot score labels. */
export const IN_WORDS = 'Let it classify in words instead.';

export type LabelScores = Omit<LabelReply, 'cached'>;

export function differAtOnce(labels: readonly string[]): boolean {
  return new Set(labels.map((label) => String.fromCodePoint(label.codePointAt(0)!))).size === labels.length;
}

export const FIRST_TOKEN: RequestBody = { logprobs: true, top_logprobs: TOP };

/**
 * Of each label `log p` of its first token: the longest of the likeliest tokens with which it begins. That is the
 * label's own for labels of one token, such as letters; of longer ones, `tokenizer` says which it is. A label whose
 * token is not among the likeliest gets the most it can have: what the last of them has, or what all of them leave.
 *
 * @returns null where none of the labels is among them
 * @throws ConfigError where the server gives no log-probabilities
 */
export function firstTokenScores(
  { choices }: Completion,
  labels: readonly string[],
  tokenizer?: Tokenizer,
): LabelScores | null {
  const top = choices[0]?.logprobs?.content?.[0]?.top_logprobs ?? [];
  if (top.length === 0) {
    throw new ConfigError(
      `The server gives no log-probabilities of tokens (logprobs, top_logprobs), so that labels cannot be scored. ${IN_WORDS}`,
    );
  }
  // Some templates leave the space before a reply to the model: a token counts with and without it.
  const masses = new Map<string, number>();
  for (const { token, logprob } of top) {
    const text = token.trimStart();
    masses.set(text, (masses.get(text) ?? 0) + Math.exp(logprob));
  }
  masses.delete('');
  const firsts = labels.map(
    (label) => firstToken(label, tokenizer) ?? longestBeginning(label, masses.keys()),
  );
  const found = firsts.map((first) => (first === undefined ? undefined : masses.get(first)));
  if (found.every((mass) => mass === undefined)) return null;
  const left = Math.max(0, 1 - top.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0));
  const bound = Math.min(...top.map(({ logprob }) => logprob), Math.log(left));
  return {
    logprobs: found.map((mass) => (mass === undefined ? bound : Math.log(mass))),
    tokens: labels.map(() => 1),
  };
}

function firstToken(label: string, tokenizer: Tokenizer | undefined): string | undefined {
  return tokenizer?.decode(tokenizer.encodeContinuation(label).slice(0, 1)).trimStart();
}

function longestBeginning(label: string, tokens: Iterable<string>): string | undefined {
  const beginning = [...tokens].filter((token) => label.startsWith(token));
  return beginning.sort((a, b) => b.length - a.length)[0];
}

/**
 * `log p` of each label as the beginning of the reply, all of its tokens together.
 *
 * @param ask Sends messages with further fields
 * @throws ConfigError where the server gives no log-probabilities of prompts, or a label is not to be found
 */
export async function givenReplyScores(
  messages: ChatRequest['messages'],
  labels: readonly string[],
  ask: (messages: readonly object[], fields: RequestBody) => Promise<Completion>,
): Promise<LabelScores> {
  const scores: LabelScores = { logprobs: [], tokens: [] };
  for (const label of labels) {
    const given = [...plainMessages(messages), { role: 'assistant', content: label }];
    const { logprob, tokens } = givenReplyScore(await ask(given, GIVEN_REPLY), label);
    scores.logprobs.push(logprob);
    scores.tokens.push(tokens);
  }
  return scores;
}

/** The last message is the beginning of the reply; of each token of the prompt its own log-probability alone. */
const GIVEN_REPLY: RequestBody = {
  ...{ add_generation_prompt: false, continue_final_message: true },
  prompt_logprobs: 0,
};

/** `log p` of the label at the end of the prompt. */
function givenReplyScore(
  { prompt_logprobs: prompt }: Completion,
  label: string,
): { logprob: number; tokens: number } {
  if (!prompt) {
    throw new ConfigError(
      'The server gives no log-probabilities of given replies (prompt_logprobs, which vLLM has), so that labels which ' +
        `begin alike cannot be scored. ${IN_WORDS}`,
    );
  }
  let text = '';
  let logprob = 0;
  for (let at = prompt.length - 1; at >= 0 && text.length < label.length; at--) {
    // The token itself comes first where others are given beside it.
    const [token] = Object.values(prompt[at] ?? {});
    if (token === undefined) break;
    text = (token.decoded_token ?? '') + text;
    logprob += token.logprob;
    if (text === label) return { logprob, tokens: prompt.length - at };
  }
  throw new ConfigError(
    `The label ${JSON.stringify(label)} is not at the end of the prompt as the server sees it, but ${JSON.stringify(text)}: its chat template changes it, or its tokens run into it. ${IN_WORDS}`,
  );
}
