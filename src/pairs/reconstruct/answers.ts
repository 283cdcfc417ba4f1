/** The requests for the next answers of conversations, and what becomes of the replies. */
import type { ChatModel, ChatReply, ChatRequest, Outcome } from '../../llm/chat-model.js';
import { MIN_REPLY_TOKENS, replyRoom } from '../reply-room.js';
import { isEmptyReply, replyText } from '../reply-text.js';
import { writingSampling } from '../writing-options.js';
import type { Draft } from './draft.js';
import type { ResolvedReconstructOptions } from './options.js';

/** Why a conversation cannot go on: `reason` is what it is counted under. */
export interface Stop {
  reason: 'context-full' | 'request-failed' | 'withheld-answer' | 'cut-answer' | 'empty-answer';
  detail: string;
}

/** Characters of an empty reply that are shown. */
const MAX_SHOWN = 80;

export interface NextRequests {
  /** The draft of each request. */
  asked: Draft[];
  requests: ChatRequest[];
  stopped: { draft: Draft; stop: Stop }[];
}

/** One request for each draft that has room for an answer. */
export function nextRequests(
  drafts: readonly Draft[],
  model: Pick<ChatModel, 'contextTokens' | 'countTokens'>,
  options: ResolvedReconstructOptions,
): NextRequests {
  const next: NextRequests = { asked: [], requests: [], stopped: [] };
  for (const draft of drafts) {
    const messages = draft.turns.map(({ role, content }) => ({ role, content }));
    const room = replyRoom(model, messages);
    if (room < MIN_REPLY_TOKENS) {
      const detail = `${Math.max(room, 0)} of ${model.contextTokens} tokens would be left for turn ${draft.turns.length}`;
      next.stopped.push({ draft, stop: { reason: 'context-full', detail } });
      continue;
    }
    next.asked.push(draft);
    next.requests.push({
      id: `${draft.source.id}:${draft.turns.length}`,
      messages,
      sampling: writingSampling(options, room),
      owner: draft.source.user,
    });
  }
  return next;
}

/** The answer in an outcome, or why the conversation has to end before it. */
export function readAnswer(
  { reply, error }: Outcome<ChatReply>,
  { keepCutAnswers }: ResolvedReconstructOptions,
): string | Stop {
  if (error !== undefined) return { reason: 'request-failed', detail: error.message };
  const { text, finishReason, completionTokens } = reply;
  if (finishReason === 'filtered') {
    return { reason: 'withheld-answer', detail: 'the server withheld the answer' };
  }
  if (finishReason === 'length' && !keepCutAnswers) {
    return { reason: 'cut-answer', detail: `the answer did not end within ${completionTokens} tokens` };
  }
  const answer = replyText(text);
  return isEmptyReply(answer)
    ? { reason: 'empty-answer', detail: JSON.stringify(text.slice(0, MAX_SHOWN)) }
    : answer;
}
