/** Which users give meaningful feedback (appendix C.1, step 6). */
import type { SplitConversation } from '../../data/conversation.js';
import { ConfigError } from '../../errors.js';
import type { ChatModel } from '../../llm/chat-model.js';
import { byUser, type UserHistory } from '../by-user.js';
import { checkOptions } from '../check-options.js';
import type { Case, Judge, Judgement, VerdictWords } from '../judge/judge.js';
import { judgeByLikelihood } from '../judge/judge-by-likelihood.js';
import { judgeByReply, SECOND_REQUEST_TOKENS } from '../judge/judge-by-reply.js';
import { createFeedbackUserTemplate, type FeedbackUserTemplate } from '../prompts/feedback-user.js';
import { replyRoom } from '../reply-room.js';
import type { ClassifiedMessage, FeedbackUserRow } from '../rows.js';
import type { StageContext } from '../stage.js';
import { windows } from '../windows.js';
import {
  type FeedbackUserOptions,
  feedbackUserOptionsSchema,
  type ResolvedFeedbackUserOptions,
} from './feedback-user-options.js';
import { type HistoryConversation, messageCount, readableHistory } from './history.js';
import { selectMessages } from './select-messages.js';

export interface FeedbackUserSettings extends FeedbackUserOptions {
  /** Who is asked; not needed with the method `rule`. */
  model?: ChatModel;
  /** How it is asked. Default: our own words. */
  template?: FeedbackUserTemplate;
}

type Verdict = 'yes' | 'no';

const WORDS: VerdictWords<Verdict> = { verdicts: ['yes', 'no'], words: { yes: ['Yes'], no: ['No'] } };
/** Follow-ups without content, from which the likelihood of the labels is calibrated. */
const CONTENT_FREE: readonly string[][] = [['N/A'], ['...'], ['-']];
/** Users that are asked about together; a second time is asked once all of them have been asked about once. */
const USERS_AT_ONCE = 500;

interface Entry {
  row: FeedbackUserRow;
  /** Why the user is dropped without asking. */
  reason?: string;
  detail?: string;
  question?: Case;
}

/**
 * The users who give meaningful feedback, in the order of the users: those with at least `minimum` re-attempts with
 * feedback of whom, unless the method is `rule`, a model says so from their follow-ups. Conversations that are held
 * out neither count nor are shown.
 *
 * Books: users. Dropped: `no-follow-ups`, `too-little-feedback`, `no-meaningful-feedback` (the model's word),
 * `no-verdict`, and `no-room` (context).
 *
 * @throws ConfigError for options that cannot be used, or a missing model; DataError where conversations and
 *   classification do not belong together, see {@link byUser}; and whatever `model` throws
 */
export async function* filterFeedbackUsers(
  conversations: Iterable<SplitConversation> | AsyncIterable<SplitConversation>,
  classified: Iterable<ClassifiedMessage> | AsyncIterable<ClassifiedMessage>,
  { model, template = createFeedbackUserTemplate(), ...input }: FeedbackUserSettings,
  { tally, signal, onProgress }: StageContext,
): AsyncGenerator<FeedbackUserRow> {
  const options = checkOptions(feedbackUserOptionsSchema, input, 'the filter for feedback users');
  const judge = createJudge(model, template, options);
  let done = 0;
  const step = () => onProgress?.({ done: ++done, total: 0, text: `${done} users` });

  for await (const histories of windows(byUser(conversations, classified), USERS_AT_ONCE)) {
    tally.enter(histories.length);
    const entries = histories.map((history) => prepare(history, judge?.model, template, options));
    for (const { question } of entries) if (question === undefined) step();
    const questions = entries.flatMap(({ question }) => (question === undefined ? [] : [question]));
    const judgements =
      (await judge?.judge(questions, { onJudged: step, ...(signal === undefined ? {} : { signal }) })) ?? [];
    let next = 0;
    for (const { row, reason, detail, question } of entries) {
      const judgement = question === undefined ? {} : (judgements[next++] as Judgement<Verdict>);
      const why = reason ?? (question === undefined ? undefined : reasonOf(judgement));
      if (why !== undefined) {
        const said = detail ?? judgement.problem ?? judgement.reply ?? likelihoods(judgement);
        tally.drop({
          id: row.user,
          user: row.user,
          reason: why,
          ...(said === undefined ? {} : { detail: said }),
        });
        continue;
      }
      const { reply, logprobs, prior } = judgement;
      tally.leave();
      yield {
        ...row,
        ...(question === undefined || judge === undefined ? {} : { model: judge.model.identity }),
        ...(reply === undefined ? {} : { reply }),
        ...(logprobs === undefined ? {} : { logprobs }),
        ...(prior === undefined ? {} : { prior }),
      };
    }
  }
}

function reasonOf({ verdict }: Judgement<Verdict>): string | undefined {
  if (verdict === undefined) return 'no-verdict';
  return verdict === 'no' ? 'no-meaningful-feedback' : undefined;
}

function likelihoods({ logprobs, prior }: Judgement<Verdict>): string | undefined {
  if (logprobs === undefined) return undefined;
  const gain = (verdict: Verdict) => (logprobs[verdict] - (prior?.[verdict] ?? 0)).toFixed(2);
  return `log p over that without content: yes ${gain('yes')}, no ${gain('no')}`;
}

function prepare(
  history: UserHistory,
  model: ChatModel | undefined,
  template: FeedbackUserTemplate,
  options: ResolvedFeedbackUserOptions,
): Entry {
  const { user } = history;
  const followUps = followUpsOf(readableHistory(history));
  const count = messageCount(followUps);
  const feedback = followUps
    .flatMap(({ messages }) => messages)
    .filter(({ type }) => type === 're-attempt-with-feedback').length;
  const row = { user, followUps: count, reAttemptsWithFeedback: feedback };
  if (count === 0) return { row, reason: 'no-follow-ups' };
  if (feedback < options.minimum) {
    const detail = `${feedback} re-attempts with feedback, ${options.minimum} are needed`;
    return { row, reason: 'too-little-feedback', detail };
  }
  if (model === undefined) return { row };
  const messages = messagesThatFit(followUps, model, template, options);
  return messages === undefined
    ? { row, reason: 'no-room', detail: `of the context's ${model.contextTokens} tokens` }
    : { row, question: { id: user, owner: user, messages } };
}

function followUpsOf(history: readonly HistoryConversation[]): HistoryConversation[] {
  return history
    .map(({ id, messages }) => ({ id, messages: messages.filter(({ type }) => type !== 'initial-request') }))
    .filter(({ messages }) => messages.length > 0);
}

function messagesThatFit(
  followUps: readonly HistoryConversation[],
  model: ChatModel,
  template: FeedbackUserTemplate,
  { maxFollowUpTokens, maxMessageTokens, maxReplyTokens, method }: ResolvedFeedbackUserOptions,
): Case['messages'] | undefined {
  const reply = method === 'generate' ? maxReplyTokens + SECOND_REQUEST_TOKENS : 1;
  const room = replyRoom(model, template.render([])) - reply;
  const { conversations, shown } = selectMessages(followUps, {
    budgetTokens: Math.min(maxFollowUpTokens, room),
    maxMessageTokens,
    countTokens: (text) => model.countTokens(text),
  });
  if (shown === 0) return undefined;
  return template.render(conversations.flatMap(({ messages }) => messages.map(({ text }) => text)));
}

function createJudge(
  model: ChatModel | undefined,
  template: FeedbackUserTemplate,
  { method, maxReplyTokens }: ResolvedFeedbackUserOptions,
): Judge<Verdict> | undefined {
  if (method === 'rule') return undefined;
  if (model === undefined) {
    throw new ConfigError(
      `The filter for feedback users needs a model with the method ${method}; rule needs none.`,
    );
  }
  return method === 'generate'
    ? judgeByReply(model, WORDS, { maxTokens: maxReplyTokens })
    : judgeByLikelihood(model, WORDS, {
        calibration: CONTENT_FREE.map((followUps) => template.render(followUps)),
      });
}
