/** What an evaluation will ask of a model, before anything is asked. */

import type { LabelRequest } from '../llm/chat-model.js';
import type { ResolvedChatModelOptions } from '../llm/chat-model-options.js';
import { costOf } from '../llm/usage-meter.js';

/** English text in the tokenizers of today's models. */
export const CHARACTERS_PER_TOKEN = 4;

/** Requests, and the tokens of their prompts and replies. */
export interface AskedTokens {
  requests: number;
  promptTokens: number;
  completionTokens: number;
}

export interface AskingEstimate extends AskedTokens {
  /** In the currency of the model's prices; null where it has none. */
  cost: number | null;
}

/**
 * Rough figures for requests: tokens are counted as a fourth of the characters, and a reply as `replyTokens`. Replies
 * that are kept already cost nothing, which is not looked up.
 */
export function estimateAsking(
  requests: Iterable<Pick<LabelRequest, 'messages'>>,
  { replyTokens, model }: { replyTokens: number; model: ResolvedChatModelOptions },
): AskingEstimate {
  let count = 0;
  let characters = 0;
  for (const { messages } of requests) {
    count++;
    for (const { content } of messages) characters += content.length;
  }
  const tokens = {
    promptTokens: Math.round(characters / CHARACTERS_PER_TOKEN),
    completionTokens: count * replyTokens,
  };
  return withCost({ requests: count, ...tokens }, model);
}

/** What is asked, with what it costs by the model's prices. */
export function withCost(asked: AskedTokens, model: ResolvedChatModelOptions): AskingEstimate {
  return { ...asked, cost: costOf(asked, pricesOf(model)) };
}

function pricesOf(model: ResolvedChatModelOptions): { prompt: number; completion: number } | null {
  if (model.kind !== 'server') return null;
  const { pricePerMillionPromptTokens: prompt, pricePerMillionCompletionTokens: completion } = model;
  return prompt === null || completion === null ? null : { prompt, completion };
}
