/** The turns at which a model answers: those of held-out conversations, as the log has them. */
import { type SplitConversation, userTurns } from '../../data/conversation.js';
import type { Message } from '../../data/pairs.js';
import type { Tally } from '../../data/tally.js';

/** A user message of a held-out conversation, and the answer that it got. */
export interface EvaluationTurn {
  /** `conversation:turn`. */
  id: string;
  user: string;
  conversation: string;
  /** Index of the user message among the conversation's turns. */
  turn: number;
  /** Whether it is the first of its conversation (Table 5). */
  kind: 'initial' | 'follow-up';
  /** Everything up to and with the user message, answers as the log has them. */
  prompt: Message[];
  /** The log's answer. */
  original: string;
}

/** A user of the evaluation pool. */
export interface EvaluationUser {
  user: string;
  /** What came before the held-out conversations: what a persona may be inferred from. */
  history: SplitConversation[];
  turns: EvaluationTurn[];
}

/**
 * The users of a file of conversations, each with history and turns. Users must stand together, as ingesting writes
 * them. Users without a held-out turn that was answered, or without a history, are dropped.
 *
 * Books: users. Dropped: `no-held-out-answers`, `no-history`. Noted: `turns-without-answer`.
 */
export async function* evaluationUsers(
  conversations: AsyncIterable<SplitConversation>,
  tally: Tally,
): AsyncGenerator<EvaluationUser, void, void> {
  let current: EvaluationUser | undefined;
  for await (const conversation of conversations) {
    const { user, heldOut } = conversation;
    if (current?.user !== user) {
      if (current !== undefined && keeps(current, tally)) yield current;
      current = { user, history: [], turns: [] };
    }
    if (heldOut) current.turns.push(...answeredTurns(conversation, tally));
    else current.history.push(conversation);
  }
  if (current !== undefined && keeps(current, tally)) yield current;
}

function keeps({ user, history, turns }: EvaluationUser, tally: Tally): boolean {
  tally.enter();
  const reason = turns.length === 0 ? 'no-held-out-answers' : history.length === 0 ? 'no-history' : undefined;
  if (reason === undefined) tally.leave();
  else tally.drop({ id: user, user, reason });
  return reason === undefined;
}

function answeredTurns(conversation: SplitConversation, tally: Tally): EvaluationTurn[] {
  const { id, user, turns } = conversation;
  return userTurns(conversation).flatMap((turn, index) => {
    const answer = turns[turn + 1];
    if (answer?.role !== 'assistant') {
      tally.note('turns-without-answer');
      return [];
    }
    return [
      {
        ...{ id: `${id}:${turn}`, user, conversation: id, turn },
        kind: index === 0 ? 'initial' : 'follow-up',
        prompt: turns.slice(0, turn + 1).map(({ role, content }) => ({ role, content })),
        original: answer.content,
      },
    ];
  });
}
