/** What kind of message each user message is (section 2.2). */
import type { SplitConversation } from '../../data/conversation.js';
import { ConfigError } from '../../errors.js';
import type { ChatModel } from '../../llm/chat-model.js';
import { checkOptions } from '../check-options.js';
import type { Case, Judge, Judgement } from '../judge/judge.js';
import { judgeByLikelihood } from '../judge/judge-by-likelihood.js';
import { judgeByReply, SECOND_REQUEST_TOKENS } from '../judge/judge-by-reply.js';
import { type ClassificationTemplate, createClassificationTemplate } from '../prompts/classification.js';
import { replyRoom } from '../reply-room.js';
import type { ClassifiedMessage, FollowUpType } from '../rows.js';
import { shortenMiddle } from '../shorten.js';
import type { StageContext } from '../stage.js';
import { windows } from '../windows.js';
import { calibrationRequests } from './calibration.js';
import { isBlank, isExactRepeat, type UserMessage, userMessages } from './follow-ups.js';
import { type ClassifyOptions, classifyOptionsSchema, type ResolvedClassifyOptions } from './options.js';
import { CLASSIFICATION_WORDS } from './verdicts.js';

export interface ClassifySettings extends ClassifyOptions {
  /** Who is asked. */
  model: ChatModel;
  /** How it is asked. Default: our own words. */
  template?: ClassificationTemplate;
}

/** Messages that are asked about together; a second time is asked once all of them have been asked about once. */
const MESSAGES_AT_ONCE = 1000;
/** With fewer tokens than this nothing can be seen of a request. */
const MIN_REQUEST_TOKENS = 16;

/** More tokens no label has. */
const LABEL_TOKENS = 16;

type Known = Pick<ClassifiedMessage, 'type' | 'problem'>;

/** A user message on its way to its row: known without asking, or what to ask. */
type Entry = { row: Omit<ClassifiedMessage, 'type'> } & (
  | { known: Known; question?: undefined }
  | { question: Case; known?: undefined }
);

/**
 * The type of every user message, in the order of conversations and turns. The first of a conversation is its initial
 * request; the others are judged from the request before and the message itself, as in Figure 6, whether or not an
 * answer stands between them. Nothing is asked about first messages, empty ones (`unclassified`) and, by default, exact
 * repeats. A message without a verdict after two replies is `unclassified`, with the problem.
 *
 * Books: user messages; all go out, the unclassified ones and the repeats are noted.
 *
 * @throws ConfigError for options that cannot be used, a model whose context is too small for the prompt, and a model
 *   that cannot score labels where it should; and whatever else `model` throws
 */
export async function* classifyMessages(
  conversations: Iterable<SplitConversation> | AsyncIterable<SplitConversation>,
  { model, template = createClassificationTemplate(), ...input }: ClassifySettings,
  context: StageContext,
): AsyncGenerator<ClassifiedMessage> {
  const options = checkOptions(classifyOptionsSchema, input, 'classify');
  const shorten = requestShortener(model, template, options);
  const judge = createJudge(model, template, options);
  const { tally, signal, onProgress } = context;
  let done = 0;
  let unclassified = 0;
  const step = () => onProgress?.({ done: ++done, total: 0, text: `${done} user messages` });

  for await (const window of windows(entries(conversations, template, shorten, options), MESSAGES_AT_ONCE)) {
    tally.enter(window.length);
    for (const { question } of window) if (question === undefined) step();
    const asked = window.flatMap(({ question }) => (question === undefined ? [] : [question]));
    const judgements = await judge.judge(asked, {
      onJudged: step,
      ...(signal === undefined ? {} : { signal }),
    });
    let next = 0;
    for (const { row, known } of window) {
      const { verdict, ...rest } = known === undefined ? (judgements[next++] as Judgement<FollowUpType>) : {};
      const classified = { ...row, ...(known ?? { type: verdict ?? 'unclassified' }), ...rest };
      if (classified.type === 'unclassified') {
        tally.note('unclassified');
        unclassified++;
      } else if (known?.type === 're-attempt-without-feedback') tally.note('exact-repeats');
      tally.leave();
      yield classified;
    }
  }
  if (unclassified > 0) {
    context.onNotice?.(
      `${unclassified} of ${done} user messages have no verdict; their rows say why ("problem").`,
    );
  }
}

async function* entries(
  conversations: Iterable<SplitConversation> | AsyncIterable<SplitConversation>,
  template: ClassificationTemplate,
  shorten: (text: string) => string,
  options: ResolvedClassifyOptions,
): AsyncGenerator<Entry> {
  for await (const conversation of conversations) {
    for (const message of userMessages(conversation)) {
      const { turn, number, content, previous } = message;
      const { id, user } = conversation;
      const row = { conversation: id, user, turn, characters: content.length, number };
      const known = knownType(message, options);
      if (known !== undefined) yield { row, known };
      else {
        const messages = template.render(shorten(previous ?? ''), shorten(content));
        yield { row, question: { id: `${id}:${turn}`, owner: user, messages } };
      }
    }
  }
}

/** What needs no asking. */
function knownType(
  { content, previous }: UserMessage,
  { shortcutRepeats }: ResolvedClassifyOptions,
): Known | undefined {
  if (isBlank(content)) return { type: 'unclassified', problem: 'the message is empty' };
  if (previous === undefined) return { type: 'initial-request' };
  const isRepeat = shortcutRepeats && isExactRepeat(previous, content);
  return isRepeat ? { type: 're-attempt-without-feedback' } : undefined;
}

function createJudge(
  model: ChatModel,
  template: ClassificationTemplate,
  { method, calibration, maxReplyTokens }: ResolvedClassifyOptions,
): Judge<FollowUpType> {
  if (method === 'generate') return judgeByReply(model, CLASSIFICATION_WORDS, { maxTokens: maxReplyTokens });
  const requests = calibrationRequests(calibration);
  return judgeByLikelihood(model, CLASSIFICATION_WORDS, {
    calibration: requests.map(([previous, current]) => template.render(previous, current)),
  });
}

/** Shortens a request so that two of them fit beside the rest of the prompt and the reply. */
function requestShortener(
  model: ChatModel,
  template: ClassificationTemplate,
  { maxMessageTokens, maxReplyTokens, method }: ResolvedClassifyOptions,
): (text: string) => string {
  const reply = method === 'generate' ? maxReplyTokens + SECOND_REQUEST_TOKENS : LABEL_TOKENS;
  const room = replyRoom(model, template.render('-', '-')) - reply;
  const most = Math.min(maxMessageTokens, Math.floor(room / 2));
  if (most < MIN_REQUEST_TOKENS) {
    throw new ConfigError(
      `The context of ${model.identity} is too small for the classification: of its ${model.contextTokens} tokens ` +
        `${Math.max(0, room)} are left for two requests beside the prompt and ${reply} for the reply. ` +
        'Take a shorter template or fewer tokens for the reply.',
    );
  }
  return (text) => shortenMiddle(text, most, (part) => model.countTokens(part));
}
