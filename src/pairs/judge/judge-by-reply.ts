import type { ChatModel, ChatReply, ChatRequest } from '../../llm/chat-model.js';
import { askTwice, type Inquiry } from '../ask-twice.js';
import { replyText } from '../reply-text.js';
import type { Case, Judge, VerdictWords } from './judge.js';
import { readVerdict } from './verdict.js';

/** Characters of a reply without a verdict that the second request repeats: enough to see what was wrong with it. */
const REPEATED_CHARACTERS = 400;

/** At most so many tokens does the second request have more than the first: that beginning, and the reminder. */
export const SECOND_REQUEST_TOKENS = 256;

export interface JudgeByReplyOptions {
  /** Tokens of a reply; models that reason need more than the verdict has. */
  maxTokens: number;
}

/**
 * A judge that asks in words. A reply without exactly one verdict is answered once with a reminder of the format, then
 * the case stays without. The likeliest tokens are taken always, so that a verdict repeats itself.
 */
export function judgeByReply<Verdict extends string>(
  model: ChatModel,
  words: VerdictWords<Verdict>,
  { maxTokens }: JudgeByReplyOptions,
): Judge<Verdict> {
  const marks = words.verdicts.map((verdict) => `[[${words.words[verdict][0]}]]`);
  const reminder =
    `That is not in the form that was asked for. Answer with ${marks.slice(0, -1).join(', ')} or ${marks.at(-1)}, ` +
    'and with nothing else.';
  const inquiry: Inquiry<Case, Verdict> = {
    request: ({ id, owner, messages }) => ({ id, owner, messages, sampling: { temperature: 0, maxTokens } }),
    read: ({ text }) => readVerdict<Verdict>(text, words.words),
    again: (first, reply) => remind(first, reply, reminder),
  };
  return {
    model,
    async judge(cases, { onJudged, ...options } = {}) {
      const findings = await askTwice(model, cases, inquiry, {
        ...options,
        ...(onJudged === undefined ? {} : { onFinding: onJudged }),
      });
      return findings.map(({ answer, problem, reply }) => ({
        ...(problem === undefined ? { verdict: answer } : { problem }),
        ...(reply === undefined ? {} : { reply: reply.text }),
      }));
    },
  };
}

function remind(first: ChatRequest, { text }: ChatReply, reminder: string): ChatRequest {
  const said = replyText(text).slice(0, REPEATED_CHARACTERS);
  return {
    ...first,
    messages: [
      ...first.messages,
      // Chat templates may refuse an empty message, and two of the user's in a row.
      { role: 'assistant', content: said === '' ? '...' : said },
      { role: 'user', content: reminder },
    ],
  };
}
