/** User-guided rewrites (section 2.3), and the baseline that answers again from scratch (section 3.3). */
import type { SplitConversation } from '../../data/conversation.js';
import type { Message } from '../../data/pairs.js';
import { createPersonaTemplate, type PersonaTemplate, withPersona } from '../../data/persona-prompt.js';
import type { Dropped } from '../../data/tally.js';
import type { ChatModel } from '../../llm/chat-model.js';
import { type Answered, askInOrder, type Question } from '../ask-in-order.js';
import { checkOptions } from '../check-options.js';
import { orderToRewrite, repeatsFollowUp } from '../filter/follow-up-echo.js';
import { createRewriteTemplate, type RewriteTemplate } from '../prompts/rewrite.js';
import { refusalIn } from '../refusals.js';
import { MIN_REPLY_TOKENS, replyRoom } from '../reply-room.js';
import { isEmptyReply, replyText } from '../reply-text.js';
import type { ClassifiedMessage, RewriteRow } from '../rows.js';
import type { StageContext } from '../stage.js';
import { writingSampling } from '../writing-options.js';
import { echoOf } from './echo.js';
import { collectFollowUps, type FollowUp, followUpsOf, type LoggedFollowUp } from './follow-ups.js';
import { type ResolvedRewriteOptions, type RewriteOptions, rewriteOptionsSchema } from './options.js';

export interface RewriteInput {
  conversations: Iterable<SplitConversation> | AsyncIterable<SplitConversation>;
  /** The kinds of their user messages; read first and as a whole. */
  messages: Iterable<ClassifiedMessage> | AsyncIterable<ClassifiedMessage>;
  /** The persona of each user who has one. Default: nobody has. */
  personas?: ReadonlyMap<string, string>;
}

export interface RewriteSettings extends RewriteOptions {
  /** Who rewrites. */
  model: ChatModel;
  /** How a rewrite is asked for. Default: ours, see `DEFAULT_REWRITE_TEMPLATE`. */
  template?: RewriteTemplate;
  /** How the persona is put into words. Default: ours, see `DEFAULT_PERSONA_TEMPLATE`. */
  personaTemplate?: PersonaTemplate;
}

/** Characters of an empty reply that are shown. */
const MAX_SHOWN = 80;

/**
 * A rewrite of each answer that a user of the training side sent back with feedback, in the order of the conversations.
 * The model sees the conversation up to that answer and is asked to write the answer again in the light of the
 * feedback; with `source: 'scratch'` it sees neither answer nor feedback.
 *
 * Books: user messages. Those that are no re-attempts with feedback are dropped under their type; the others may be
 * dropped for want of an answer before them, of room in the context, or of a usable reply (failed, withheld, cut off,
 * empty, a refusal, the instruction or the follow-up over again).
 *
 * @throws ConfigError for options that cannot be used, and whatever `model` throws
 */
export async function* rewriteAnswers(
  { conversations, messages, personas = new Map() }: RewriteInput,
  { model, template, personaTemplate, ...input }: RewriteSettings,
  context: StageContext,
): AsyncGenerator<RewriteRow> {
  const options = checkOptions(rewriteOptionsSchema, input, 'rewrite');
  const asker: Asker = {
    model,
    options,
    template: template ?? createRewriteTemplate(),
    personaTemplate: personaTemplate ?? createPersonaTemplate(),
  };
  const { tally, signal, onProgress } = context;
  const wanted = await collectFollowUps(messages, options.followUps, tally);
  const total = [...wanted.values()].reduce((sum, { turns }) => sum + turns.size, 0);

  async function* questions(): AsyncGenerator<Question<Subject>> {
    for await (const followUp of followUpsOf(conversations, wanted, tally)) {
      const question = ask(followUp, personas.get(followUp.user), asker);
      if ('reason' in question) tally.drop({ ...question, user: followUp.user });
      else yield question;
    }
  }

  let done = 0;
  for await (const answered of askInOrder(model, questions(), signal === undefined ? {} : { signal })) {
    const row = rewriteRow(answered, asker);
    onProgress?.({ done: ++done, total });
    if ('reason' in row) {
      tally.drop({ ...row, user: answered.subject.user });
      continue;
    }
    if (options.persona && options.source !== 'math' && row.persona === undefined) tally.note('no-persona');
    tally.leave();
    yield row;
  }
}

interface Asker {
  model: ChatModel;
  options: ResolvedRewriteOptions;
  template: RewriteTemplate;
  personaTemplate: PersonaTemplate;
}

type Subject = FollowUp & { persona: string | undefined };

function ask(
  { logged: _, ...followUp }: LoggedFollowUp,
  known: string | undefined,
  asker: Asker,
): Question<Subject> | Dropped {
  const { model, options } = asker;
  const usesPersona = options.persona && options.source !== 'math' && known?.trim() !== '';
  const persona = usesPersona ? known : undefined;
  const messages = withPersona(conversationToAnswer(followUp, asker), persona, asker.personaTemplate);
  const room = replyRoom(model, messages);
  const sampling = writingSampling(options, Math.max(room, 1));
  // An answer of about the same length must have room, or it would come back cut.
  const length = Math.max(model.countTokens(followUp.original), MIN_REPLY_TOKENS);
  const needed = Math.min(length, options.maxTokens);
  if (sampling.maxTokens < needed) {
    const detail = `${Math.max(room, 0)} of ${model.contextTokens} tokens would be left, ${needed} are needed`;
    return { id: followUp.id, reason: 'context-full', detail };
  }
  return {
    subject: { ...followUp, persona },
    request: {
      id: followUp.id,
      messages,
      sampling,
      owner: followUp.user,
    },
  };
}

function conversationToAnswer({ prompt, original, followUp }: FollowUp, asker: Asker): Message[] {
  if (asker.options.source === 'scratch') return prompt;
  return [
    ...prompt,
    { role: 'assistant', content: original },
    { role: 'user', content: asker.template.render(followUp) },
  ];
}

function rewriteRow(
  { subject, request, reply, error }: Answered<Subject>,
  { model, options, template }: Asker,
): RewriteRow | Dropped {
  const { persona, ...followUp } = subject;
  const { id } = followUp;
  if (error !== undefined) return { id, reason: 'request-failed', detail: error.message };
  const { text, finishReason, completionTokens } = reply;
  if (finishReason === 'filtered') return { id, reason: 'withheld-answer' };
  if (finishReason === 'length') {
    return { id, reason: 'cut-answer', detail: `it did not end within ${completionTokens} tokens` };
  }
  const rewrite = replyText(text);
  if (isEmptyReply(rewrite)) {
    return { id, reason: 'empty-answer', detail: JSON.stringify(text.slice(0, MAX_SHOWN)) };
  }
  const refusal = refusalIn(rewrite);
  if (refusal !== undefined) return { id, reason: 'refusal', detail: refusal };
  if (options.source !== 'scratch') {
    const { original, followUp: said } = followUp;
    const order = orderToRewrite(original) === undefined ? orderToRewrite(rewrite) : undefined;
    const echo = order ?? echoOf(template.render(''), rewrite, `${original}\n${said}`);
    if (echo !== undefined) return { id, reason: 'echoes-instruction', detail: echo };
    if (repeatsFollowUp(said, rewrite)) return { id, reason: 'echoes-follow-up' };
  }
  return {
    ...followUp,
    source: options.source,
    rewrite,
    ...(persona === undefined ? {} : { persona }),
    model: model.identity,
    request: [...request.messages],
    finishReason,
  };
}
