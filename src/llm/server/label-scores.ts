/**
 * Log-likelihoods of labels from a server, in one of two ways:
 *
 * - Labels that differ in their first character are told apart by the first token of the reply, of which chat
 *   completions give the likeliest 20 with their log-probabilities (`logprobs`, `top_logprobs`: OpenAI, vLLM,
 *   llama.cpp, which give them before sampling). One request for all labels.
 * - Others need the log-probability of a given reply, which of all servers vLLM alone gives for chats
 *   (`prompt_logprobs` with `continue_final_message`). One request for each label.
 */
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
 * Of each label `log p` of the tokens that begin it, as one token of it. A label that is not among the likeliest
 * tokens gets the most it can have: what the last of them has, or what all of them leave.
 *
 * @returns null where none of the labels is among them
 * @throws ConfigError where the server gives no log-probabilities
 */
export function firstTokenScores({ choices }: Completion, labels: readonly string[]): LabelScores | null {
  const top = choices[0]?.logprobs?.content?.[0]?.top_logprobs ?? [];
  if (top.length === 0) {
    throw new ConfigError(
      `The server gives no log-probabilities of tokens (logprobs, top_logprobs), so that labels cannot be scored. ${IN_WORDS}`,
    );
  }
  // Some templates leave the space before a reply to the model.
  const begins = (label: string, token: string) =>
    token.trimStart() !== '' && label.startsWith(token.trimStart());
  const masses = labels.map((label) =>
    top.reduce((sum, { token, logprob }) => sum + (begins(label, token) ? Math.exp(logprob) : 0), 0),
  );
  if (masses.every((mass) => mass === 0)) return null;
  const left = Math.max(0, 1 - top.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0));
  const least = Math.min(...top.map(({ logprob }) => logprob));
  const bound = Math.min(least, Math.log(left));
  return {
    logprobs: masses.map((mass) => (mass > 0 ? Math.log(mass) : bound)),
    tokens: labels.map(() => 1),
  };
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
