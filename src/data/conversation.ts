/** A conversation as every stage knows it, whatever file it came from. Nothing is invented where a source lacks it. */

import type { Message } from './pairs.js';

/** One message of a conversation with what its source says about it. */
export interface ConversationTurn extends Message {
  role: 'system' | 'user' | 'assistant';
  /** BCP 47 or the source's own word (`English`). */
  language?: string;
  /** ISO 8601, UTC. */
  time?: string;
  toxic?: boolean;
  redacted?: boolean;
}

export interface Conversation {
  /** The source's own id, or a hash of the content where it has none. */
  id: string;
  /** Who wrote the user messages; absent where the source does not tell. */
  user?: string;
  /** The model that answered. */
  model?: string;
  language?: string;
  /** When it began: ISO 8601, UTC. */
  time?: string;
  toxic?: boolean;
  redacted?: boolean;
  /** At least one, in order; system messages only at the beginning. */
  turns: ConversationTurn[];
}

/** Which part of the split a user belongs to: all conversations of a user are on one side. */
export type SplitSide = 'train' | 'test';

/** A conversation after filters and split. */
export interface SplitConversation extends Conversation {
  user: string;
  side: SplitSide;
  /** Kept for evaluation: no persona and no pair is made from it. */
  heldOut: boolean;
}

/** Indices of the user messages among a conversation's turns. */
export function userTurns({ turns }: Pick<Conversation, 'turns'>): number[] {
  return turns.flatMap(({ role }, index) => (role === 'user' ? [index] : []));
}
