/** Which of a user's messages go into a prompt that has no room for all. */
import { wording } from '../classify/follow-ups.js';
import { shortenMiddle } from '../shorten.js';
import type { HistoryConversation, HistoryMessage } from './history.js';

/** What a template puts around a message, about. */
const TOKENS_AROUND_MESSAGE = 12;
/** A message is not shortened to less than this: too little would be left of it. */
const LEAST_MESSAGE_TOKENS = 24;

export interface SelectOptions {
  /** For all messages and what stands around them. */
  budgetTokens: number;
  /** A longer message is shortened in the middle, so that it does not crowd out others. */
  maxMessageTokens: number;
  countTokens: (text: string) => number;
}

export interface SelectedMessages {
  /** In the order in which they were written; conversations of which nothing is shown are left out. */
  conversations: HistoryConversation[];
  shown: number;
  leftOut: number;
}

/**
 * The most telling messages that fit: re-attempts with feedback from the newest to the oldest, then the others from
 * the newest to the oldest. A message that repeats one already chosen is left out: it says nothing more.
 */
export function selectMessages(
  history: readonly HistoryConversation[],
  { budgetTokens, maxMessageTokens, countTokens }: SelectOptions,
): SelectedMessages {
  const messages = history.flatMap((conversation) => conversation.messages);
  const chosen = new Map<HistoryMessage, string>();
  const wordings = new Set<string>();
  let left = budgetTokens;
  for (const message of byImportance(messages)) {
    const room = Math.min(maxMessageTokens, left - TOKENS_AROUND_MESSAGE);
    if (room < 1) break;
    const said = wording(message.text);
    if (wordings.has(said)) continue;
    const text = shortenMiddle(message.text.trim(), Math.max(room, LEAST_MESSAGE_TOKENS), countTokens);
    const tokens = countTokens(text);
    if (tokens > room) continue;
    chosen.set(message, text);
    wordings.add(said);
    left -= tokens + TOKENS_AROUND_MESSAGE;
  }
  return {
    conversations: history
      .map(({ id, messages: all }) => ({
        id,
        messages: all.flatMap((message) => {
          const text = chosen.get(message);
          return text === undefined ? [] : [{ ...message, text }];
        }),
      }))
      .filter((conversation) => conversation.messages.length > 0),
    shown: chosen.size,
    leftOut: messages.length - chosen.size,
  };
}

/** `messages` come from the oldest to the newest. */
function byImportance(messages: readonly HistoryMessage[]): HistoryMessage[] {
  const newestFirst = [...messages].reverse();
  const isFeedback = ({ type }: HistoryMessage) => type === 're-attempt-with-feedback';
  return [...newestFirst.filter(isFeedback), ...newestFirst.filter((message) => !isFeedback(message))];
}
