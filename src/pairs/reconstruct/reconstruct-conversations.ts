/** WildLlamaChat's way (section 3.1): what users said is kept, what they were answered is made anew by a given model. */
import type { SplitConversation } from '../../data/conversation.js';
import type { ChatModel } from '../../llm/chat-model.js';
import { checkOptions } from '../check-options.js';
import { createInOrder, type InOrder } from '../in-order.js';
import type { StageContext } from '../stage.js';
import { nextRequests, readAnswer, type Stop } from './answers.js';
import { advance, answerDraft, type Draft, finishedConversation, startDraft } from './draft.js';
import {
  type ReconstructOptions,
  type ResolvedReconstructOptions,
  reconstructOptionsSchema,
} from './options.js';

export interface ReconstructSettings extends ReconstructOptions {
  /** Who answers. */
  model: ChatModel;
}

/** Finished conversations that may wait for an earlier one, as a multiple of those in progress. */
const WAITING_FACTOR = 4;

/**
 * The conversations with every assistant turn generated anew, each answer in the context of the user's messages and
 * the new answers before it. Their order is kept, `model` names the new model. The next answers of all conversations
 * in progress are asked for together, and a conversation that is done makes room for the next, so that a model that
 * works in batches has full ones.
 *
 * A conversation ends before an answer that cannot be had: its context is full, the request failed, the answer came
 * empty, withheld or cut off. The user message before it stays, being what the user said to the answer before. Books:
 * conversations; one that is left without any answer is dropped under the reason, one that ended early is noted as
 * `ended-early-` and the reason.
 *
 * @throws ConfigError for options that cannot be used, and whatever `model` throws
 */
export async function* reconstructConversations(
  conversations: Iterable<SplitConversation> | AsyncIterable<SplitConversation>,
  { model, ...input }: ReconstructSettings,
  context: StageContext,
): AsyncGenerator<SplitConversation> {
  const options = checkOptions(reconstructOptionsSchema, input, 'reconstruct');
  const finished = createInOrder<SplitConversation | null>();
  const drafts = startDrafts(conversations, options, finished, context);
  let active: Draft[] = [];
  let ended = false;
  let done = 0;
  try {
    while (!ended || active.length > 0) {
      while (!ended && active.length < options.conversationsAtOnce && !tooManyWait(finished, options)) {
        const { value } = await drafts.next();
        if (value === undefined) ended = true;
        else if (value !== null) active.push(value);
        done += yield* leave(finished, context);
      }
      active = await answerOnce(active, { model, options, finished, context, done });
      done += yield* leave(finished, context);
    }
  } finally {
    await drafts.return(undefined);
  }
  noticeEarlyEnds(context);
}

function tooManyWait(finished: InOrder<unknown>, { conversationsAtOnce }: ResolvedReconstructOptions) {
  return finished.waiting >= WAITING_FACTOR * conversationsAtOnce;
}

/** For each conversation a draft where it wants an answer, null where it is finished as it is. */
async function* startDrafts(
  conversations: Iterable<SplitConversation> | AsyncIterable<SplitConversation>,
  { sides }: ResolvedReconstructOptions,
  finished: InOrder<SplitConversation | null>,
  { tally }: StageContext,
): AsyncGenerator<Draft | null, undefined, void> {
  let index = 0;
  for await (const conversation of conversations) {
    tally.enter();
    const draft = startDraft(index++, conversation);
    const forEvaluation = conversation.side === 'test' || conversation.heldOut;
    const isLeft = sides === 'train' && forEvaluation;
    if (isLeft) tally.note('left-as-it-was');
    if (!isLeft && advance(draft)) yield draft;
    else {
      finished.put(draft.index, conversation);
      yield null;
    }
  }
  return undefined;
}

interface Round {
  model: ChatModel;
  options: ResolvedReconstructOptions;
  finished: InOrder<SplitConversation | null>;
  context: StageContext;
  done: number;
}

/** Asks for the next answer of every draft; returns the drafts that want another one. */
async function answerOnce(drafts: readonly Draft[], round: Round): Promise<Draft[]> {
  const { model, options, finished, context } = round;
  const going: Draft[] = [];
  const { asked, requests, stopped } = nextRequests(drafts, model, options);
  for (const { draft, stop } of stopped) endEarly(draft, stop, round);
  if (requests.length === 0) return going;
  const { signal } = context;
  for await (const outcome of model.generate(requests, signal === undefined ? {} : { signal })) {
    const draft = asked[outcome.index] as Draft;
    const answer = readAnswer(outcome, options);
    if (typeof answer !== 'string') endEarly(draft, answer, round);
    else {
      answerDraft(draft, answer);
      if (advance(draft)) going.push(draft);
      else finished.put(draft.index, finishedConversation(draft, model.identity));
    }
    const text = `${drafts.length} in progress`;
    context.onProgress?.({ done: round.done + finished.waiting, total: 0, text });
  }
  // Answers come in an order of the model's own; the next requests should not depend on it.
  return going.sort((a, b) => a.index - b.index);
}

function endEarly(draft: Draft, { reason, detail }: Stop, { model, finished, context }: Round): void {
  if (draft.answers === 0) {
    const { id, user } = draft.source;
    context.tally.drop({ id, reason, detail, user });
    finished.put(draft.index, null);
  } else {
    context.tally.note(`ended-early-${reason}`);
    finished.put(draft.index, finishedConversation(draft, model.identity));
  }
}

/** Lets out what is finished and has no unfinished one before it; returns how many conversations that settled. */
function* leave(
  finished: InOrder<SplitConversation | null>,
  { tally }: StageContext,
): Generator<SplitConversation, number> {
  let settled = 0;
  for (const conversation of finished.take()) {
    settled++;
    if (conversation === null) continue;
    tally.leave();
    yield conversation;
  }
  return settled;
}

function noticeEarlyEnds({ tally, onNotice }: StageContext): void {
  const early = Object.entries(tally.counts().noted ?? {})
    .filter(([name]) => name.startsWith('ended-early-'))
    .map(([name, count]) => `${count} x ${name.slice('ended-early-'.length)}`);
  if (early.length > 0) {
    onNotice?.(`Conversations that end before an answer that could not be had: ${early.join(', ')}.`);
  }
}
