/** Requests whose replies are read, and made once more where a reply cannot be used. */

import type { ChatModel, ChatReply, ChatRequest, GenerateCallOptions } from '../llm/chat-model.js';
import { askInOrder } from './ask-in-order.js';
import type { Reading } from './judge/verdict.js';

/** How something is asked about each subject. */
export interface Inquiry<Subject, Answer> {
  request(subject: Subject): ChatRequest;
  read(reply: ChatReply, subject: Subject): Reading<Answer>;
  /** The second request, which must differ from the first: the same one would be answered from the reply cache. */
  again(first: ChatRequest, reply: ChatReply, problem: string): ChatRequest;
}

/** What came of asking: the last request and reply, and what was read in it. */
export type Finding<Subject, Answer> = Reading<Answer> & {
  subject: Subject;
  request: ChatRequest;
  /** Undefined where none came at all. */
  reply?: ChatReply;
};

export interface AskTwiceOptions extends GenerateCallOptions {
  /** Called once for each subject, as soon as nothing more will be asked about it. */
  onFinding?: () => void;
}

/**
 * Asks about all subjects together, then once more about those whose reply cannot be used. A request that fails is
 * not made again: that is the model's own business. Findings are in the order of the subjects.
 */
export async function askTwice<Subject, Answer>(
  model: ChatModel,
  subjects: readonly Subject[],
  inquiry: Inquiry<Subject, Answer>,
  { onFinding, ...options }: AskTwiceOptions = {},
): Promise<Finding<Subject, Answer>[]> {
  const findings: Finding<Subject, Answer>[] = [];
  const open: { subject: { index: number; subject: Subject }; request: ChatRequest }[] = [];
  const first = subjects.map((subject, index) => ({
    subject: { index, subject },
    request: inquiry.request(subject),
  }));
  for (const round of [first, open]) {
    const isLast = round === open;
    for await (const { subject: place, request, reply, error } of askInOrder(model, round, options)) {
      const { index, subject } = place;
      const reading = error === undefined ? readReply(inquiry, reply, subject) : { problem: error.message };
      findings[index] = { ...reading, subject, request, ...(reply === undefined ? {} : { reply }) };
      if (reading.problem === undefined || reply === undefined || isLast) onFinding?.();
      else open.push({ subject: place, request: inquiry.again(request, reply, reading.problem) });
    }
  }
  return findings;
}

function readReply<Subject, Answer>(
  inquiry: Inquiry<Subject, Answer>,
  reply: ChatReply,
  subject: Subject,
): Reading<Answer> {
  return reply.finishReason === 'filtered'
    ? { problem: 'the server withheld the reply' }
    : inquiry.read(reply, subject);
}
