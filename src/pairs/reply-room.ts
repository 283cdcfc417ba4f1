/** How many tokens of a model's context a conversation leaves for the reply. */
import type { Message } from '../data/pairs.js';
import type { ChatModel } from '../llm/chat-model.js';

/** At most so many tokens does a chat template put around a message: the role's name and the marks beside it. */
const TOKENS_AROUND_MESSAGE = 10;
/** At most so many are put around the whole: a default system message, the date, the opening of the reply. */
const TOKENS_AROUND_CONVERSATION = 48;

/** With less room than this a reply would only be cut: it is not asked for. */
export const MIN_REPLY_TOKENS = 64;

/**
 * Tokens left for a reply to `messages`, below zero where the messages alone are too long. Careful rather than exact:
 * the chat template is known to the model's server only.
 */
export function replyRoom(
  model: Pick<ChatModel, 'contextTokens' | 'countTokens'>,
  messages: readonly Message[],
): number {
  const taken = messages.reduce(
    (sum, { content }) => sum + model.countTokens(content) + TOKENS_AROUND_MESSAGE,
    TOKENS_AROUND_CONVERSATION,
  );
  return model.contextTokens - taken;
}
