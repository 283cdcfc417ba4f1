/** What is asked in a data set: the contexts that answers are given to. */

import type { Conversation } from '../../data/conversation.js';
import type { Message, PairRow } from '../../data/pairs.js';
import { drawItems } from './reservoir.js';

/** Contexts that were drawn, under the name of the set that they are of. */
export interface ContextSet {
  name: string;
  /** Contexts that the set has. */
  available: number;
  contexts: string[];
}

/** No embedding model reads more of a text. */
const MAX_CHARACTERS = 50_000;

/** Draws contexts of a set; those that are undefined count as none. */
export async function drawContexts(
  name: string,
  contexts: AsyncIterable<string | undefined>,
  count: number,
  seed: number,
): Promise<ContextSet> {
  async function* worded(): AsyncGenerator<string> {
    for await (const context of contexts) if (context !== undefined) yield context.slice(0, MAX_CHARACTERS);
  }
  const { drawn, seen } = await drawItems(worded(), count, seed);
  return { name, available: seen, contexts: drawn };
}

/**
 * The context of a pair: its prompt without system messages. Undefined for a pair of token ids, and where nothing is
 * left.
 */
export function contextOfPair(pair: PairRow): string | undefined {
  if ('promptText' in pair) return worded(pair.promptText);
  if (!('prompt' in pair)) return undefined;
  return textOf(pair.prompt);
}

/** The context of a conversation: what is said up to its last user message, without system messages. */
export function contextOfConversation({ turns }: Pick<Conversation, 'turns'>): string | undefined {
  const last = turns.findLastIndex(({ role }) => role === 'user');
  return textOf(turns.slice(0, last + 1));
}

function textOf(messages: readonly Message[]): string | undefined {
  const said = messages.filter(({ role }) => role !== 'system').map(({ content }) => content.trim());
  return worded(said.filter((text) => text !== '').join('\n\n'));
}

function worded(text: string): string | undefined {
  return text.trim() === '' ? undefined : text.trim();
}
