/** Which answers are to be written anew: those that a user sent back with feedback. */
import type { ConversationTurn, SplitConversation } from '../../data/conversation.js';
import type { Message } from '../../data/pairs.js';
import type { Dropped, Tally } from '../../data/tally.js';
import type { ClassifiedMessage } from '../rows.js';
import type { FollowUpChoice } from './options.js';

/** A re-attempt with feedback, and what it is about. */
export interface FollowUp {
  /** `conversation:turn`. */
  id: string;
  user: string;
  conversation: string;
  /** Index of the follow-up among the conversation's turns. */
  turn: number;
  /** When the conversation began, where that is known. */
  time?: string;
  /** Everything before the original answer; it ends with the message that this answers. */
  prompt: Message[];
  original: string;
  /** What the user said to the original answer. */
  followUp: string;
}

/** A follow-up with what the log has after it. */
export interface LoggedFollowUp extends FollowUp {
  /** The next answer; undefined where the conversation ends with the follow-up. */
  logged?: {
    content: string;
    model?: string;
    /** Whether the user sent it back as well. */
    sentBack: boolean;
  };
}

/** The turns of each conversation that are re-attempts with feedback, and whose they are. */
export type FollowUpTurns = Map<string, { user: string; turns: Set<number> }>;

/**
 * Reads all messages; those of other types are dropped under the name of their type, and where only the first follow-up
 * of a conversation counts, the others as `later-follow-up`.
 */
export async function collectFollowUps(
  messages: Iterable<ClassifiedMessage> | AsyncIterable<ClassifiedMessage>,
  choice: FollowUpChoice,
  tally: Tally,
): Promise<FollowUpTurns> {
  const followUps: FollowUpTurns = new Map();
  for await (const { conversation, user, turn, type } of messages) {
    tally.enter();
    if (type !== 're-attempt-with-feedback') {
      tally.addDropped(type, 1);
      continue;
    }
    const { turns } = followUps.get(conversation) ?? { turns: new Set() };
    if (turns.has(turn)) tally.drop({ id: `${conversation}:${turn}`, reason: 'duplicate-message', user });
    followUps.set(conversation, { user, turns: turns.add(turn) });
  }
  if (choice === 'first') keepFirst(followUps, tally);
  return followUps;
}

function keepFirst(followUps: FollowUpTurns, tally: Tally): void {
  for (const [conversation, { user, turns }] of followUps) {
    const first = Math.min(...turns);
    for (const turn of turns) {
      if (turn !== first) tally.drop({ id: `${conversation}:${turn}`, reason: 'later-follow-up', user });
    }
    followUps.set(conversation, { user, turns: new Set([first]) });
  }
}

/**
 * The follow-ups of the conversations, in their order; what can't be used is dropped. Afterwards `wanted` holds only
 * conversations that did not come, and their follow-ups are dropped, too.
 */
export async function* followUpsOf(
  conversations: Iterable<SplitConversation> | AsyncIterable<SplitConversation>,
  wanted: FollowUpTurns,
  tally: Tally,
): AsyncGenerator<LoggedFollowUp> {
  for await (const conversation of conversations) {
    const turns = [...(wanted.get(conversation.id)?.turns ?? [])].sort((a, b) => a - b);
    wanted.delete(conversation.id);
    for (const turn of turns) {
      const followUp = followUpAt(conversation, turn);
      if ('reason' in followUp) tally.drop({ ...followUp, user: conversation.user });
      else yield { ...followUp, ...loggedAfter(conversation, turn, turns) };
    }
  }
  for (const [conversation, { user, turns }] of wanted) {
    for (const turn of turns) {
      tally.drop({ id: `${conversation}:${turn}`, reason: 'no-such-conversation', user });
    }
  }
}

/**
 * A follow-up to a follow-up needs nothing of its own: the turns before the answer it is about are as they were, with
 * the earlier answer that was sent back and the feedback on it.
 */
function followUpAt(conversation: SplitConversation, turn: number): FollowUp | Dropped {
  const { id: name, user, side, heldOut, time, turns } = conversation;
  const id = `${name}:${turn}`;
  if (side === 'test') return { id, reason: 'test-user' };
  if (heldOut) return { id, reason: 'held-out' };
  const message = turns[turn];
  if (message?.role !== 'user') {
    const detail = `turn ${turn} of ${turns.length} is ${message === undefined ? 'not there' : `of the ${message.role}`}`;
    return { id, reason: 'no-such-message', detail };
  }
  const original = turns[turn - 1];
  if (original?.role !== 'assistant' || original.content.trim() === '') {
    return { id, reason: 'no-answer-before' };
  }
  const prompt = turns.slice(0, turn - 1).map(asMessage);
  if (prompt.at(-1)?.role !== 'user') return { id, reason: 'no-request-before' };
  return {
    id,
    user,
    conversation: name,
    turn,
    ...(time !== undefined && { time }),
    prompt,
    original: original.content,
    followUp: message.content,
  };
}

function loggedAfter(
  { turns, model }: SplitConversation,
  turn: number,
  sentBack: readonly number[],
): Pick<LoggedFollowUp, 'logged'> {
  const next = turns[turn + 1];
  if (next?.role !== 'assistant') return {};
  const logged = { content: next.content, sentBack: sentBack.includes(turn + 2) };
  return { logged: model === undefined ? logged : { ...logged, model } };
}

function asMessage({ role, content }: ConversationTurn): Message {
  return { role, content };
}
