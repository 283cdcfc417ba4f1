/** A conversation while its answers are made anew. */
import type { ConversationTurn, SplitConversation } from '../../data/conversation.js';

/** The turns made so far, and how far into the source they are. */
export interface Draft {
  /** Position among the conversations that came in. */
  readonly index: number;
  readonly source: SplitConversation;
  readonly turns: ConversationTurn[];
  /** Index of the source's turn that comes next. */
  next: number;
  /** Answers among `turns`. */
  answers: number;
}

export function startDraft(index: number, source: SplitConversation): Draft {
  return { index, source, turns: [], next: 0, answers: 0 };
}

/**
 * Takes over what the user (or a system message) says up to the next answer, and tells whether an answer is wanted
 * there. Answers that follow each other without a word of the user between are one.
 */
export function advance(draft: Draft): boolean {
  const { turns } = draft.source;
  for (let turn = turns[draft.next]; turn !== undefined; turn = turns[draft.next]) {
    if (turn.role === 'assistant') {
      while (turns[draft.next]?.role === 'assistant') draft.next++;
      return true;
    }
    draft.turns.push(turn);
    draft.next++;
  }
  return false;
}

/** Takes an answer in. */
export function answerDraft(draft: Draft, content: string): void {
  draft.turns.push({ role: 'assistant', content });
  draft.answers++;
}

/** The conversation as it is now, answered by `model`. */
export function finishedConversation({ source, turns }: Draft, model: string): SplitConversation {
  return { ...source, model, turns };
}
