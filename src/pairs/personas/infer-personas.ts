/** How each user wants answers, from what the user has said (section 2.2, Figure 7). */
import type { SplitConversation } from '../../data/conversation.js';
import type { ChatModel, ChatReply, ChatRequest } from '../../llm/chat-model.js';
import { askTwice, type Finding } from '../ask-twice.js';
import { byUser, type UserHistory } from '../by-user.js';
import { checkOptions } from '../check-options.js';
import { createPersonaTemplate, type PersonaTemplate } from '../prompts/persona.js';
import type { ClassifiedMessage, PersonaRow } from '../rows.js';
import type { StageContext } from '../stage.js';
import { windows } from '../windows.js';
import { type HistoryConversation, messageCount, readableHistory } from './history.js';
import { type PersonaOptions, personaOptionsSchema, type ResolvedPersonaOptions } from './persona-options.js';
import { readPersona } from './persona-points.js';
import { type PersonaQuestion, personaQuestion } from './persona-request.js';
import { planPersona } from './plan-persona.js';

export interface PersonaSettings extends PersonaOptions {
  /** Who is asked. */
  model: ChatModel;
  /** How it is asked. Default: our own words. */
  template?: PersonaTemplate;
  /**
   * Personas of an earlier time by user, made with the same template and options: those that still hold are kept, the
   * others brought up to date. Default: none.
   */
  previous?: Pick<ReadonlyMap<string, PersonaRow>, 'get'>;
}

/** Users that are asked about together; a second time is asked once all of them have been asked about once. */
const USERS_AT_ONCE = 200;
/** A second request with the same words must draw another reply. */
const LEAST_SECOND_TEMPERATURE = 0.6;

interface Task extends PersonaQuestion {
  /** All conversations that the persona rests on. */
  conversations: string[];
  /** The persona that is brought up to date. */
  updated?: PersonaRow;
}

/** What is to be done for one user, and what came of it. */
type Entry = { user: string } & (
  | { row: PersonaRow; task?: undefined; reason?: undefined }
  | { task: Task; row?: undefined; reason?: undefined }
  | { reason: string; detail: string; row?: undefined; task?: undefined }
);

/**
 * A persona for each user, in the order of the users. It is built from messages of the user alone, of conversations
 * that are not held out: the newest and most telling that fit into the prompt. With `previous`, a user without new
 * conversations keeps the persona and nothing is asked; one with new conversations has it brought up to date from
 * these; one of whose conversations some are gone (or are held out by now) has it built anew from what is left.
 *
 * Books: users. Dropped: `no-messages`, `too-few-messages`, `no-room` (context), and after two requests
 * `no-persona` (empty reply, refusal, no point in it) or after one that failed `request-failed`.
 *
 * @throws ConfigError for options that cannot be used; DataError where conversations and classification do not belong
 *   together, see {@link byUser}; and whatever `model` throws
 */
export async function* inferPersonas(
  conversations: Iterable<SplitConversation> | AsyncIterable<SplitConversation>,
  classified: Iterable<ClassifiedMessage> | AsyncIterable<ClassifiedMessage>,
  { model, template = createPersonaTemplate(), previous, ...input }: PersonaSettings,
  context: StageContext,
): AsyncGenerator<PersonaRow> {
  const options = checkOptions(personaOptionsSchema, input, 'personas');
  const { tally, signal, onProgress } = context;
  let done = 0;
  const step = () => onProgress?.({ done: ++done, total: 0, text: `${done} users` });

  for await (const histories of windows(byUser(conversations, classified), USERS_AT_ONCE)) {
    tally.enter(histories.length);
    const entries = histories.map((history) =>
      prepare(history, previous?.get(history.user), model, template, options),
    );
    for (const { task } of entries) if (task === undefined) step();
    const tasks = entries.flatMap(({ task }) => (task === undefined ? [] : [task]));
    const findings = await askTwice(model, tasks, INQUIRY, {
      onFinding: step,
      ...(signal === undefined ? {} : { signal }),
    });
    let next = 0;
    for (const entry of entries) {
      const outcome =
        entry.task === undefined ? entry : settled(entry.user, findings[next++] as TaskFinding, model);
      if (outcome.row === undefined) {
        const { user, reason, detail } = outcome;
        tally.drop({ id: user, user, reason, detail });
        continue;
      }
      tally.note(entry.task === undefined ? 'kept' : entry.task.updated === undefined ? 'built' : 'updated');
      tally.leave();
      yield outcome.row;
    }
  }
}

function prepare(
  { user, conversations }: UserHistory,
  previous: PersonaRow | undefined,
  model: ChatModel,
  template: PersonaTemplate,
  options: ResolvedPersonaOptions,
): Entry {
  const history = readableHistory({ conversations });
  const count = messageCount(history);
  if (count === 0) return { user, reason: 'no-messages', detail: 'every conversation is held out or empty' };
  if (count < options.minMessages) {
    const detail = `${count} messages that are not held out, ${options.minMessages} are needed`;
    return { user, reason: 'too-few-messages', detail };
  }
  const plan = planPersona(history, previous, model.identity);
  if (plan.kind === 'keep') return { user, row: plan.row };
  const updated = plan.kind === 'update' ? plan.row : undefined;
  const shown = plan.kind === 'update' ? plan.added : history;
  const question = personaQuestion(user, shown, updated?.persona, model, template, options);
  if (question === undefined) {
    const detail = `the context of ${model.contextTokens} tokens has no room for a message beside prompt and reply`;
    return { user, reason: 'no-room', detail };
  }
  const task = { ...question, conversations: [...(updated?.conversations ?? []), ...ids(shown)] };
  return { user, task: updated === undefined ? task : { ...task, updated } };
}

function ids(conversations: readonly HistoryConversation[]): string[] {
  return conversations.map(({ id }) => id);
}

type TaskFinding = Finding<Task, string>;

const INQUIRY = {
  request: ({ request }: Task) => request,
  read: (reply: ChatReply) => readPersona(reply),
  again: (first: ChatRequest): ChatRequest => ({
    ...first,
    sampling: {
      ...first.sampling,
      temperature: Math.max(first.sampling?.temperature ?? 0, LEAST_SECOND_TEMPERATURE),
      seed: (first.sampling?.seed ?? 0) + 1,
    },
  }),
};

function settled(
  user: string,
  { subject, request, reply, answer, problem }: TaskFinding,
  model: ChatModel,
): Exclude<Entry, { task: Task }> {
  if (problem !== undefined) {
    return { user, reason: reply === undefined ? 'request-failed' : 'no-persona', detail: problem };
  }
  const { selected, updated, conversations } = subject;
  return {
    user,
    row: {
      user,
      persona: answer,
      conversations,
      messagesShown: (updated?.messagesShown ?? 0) + selected.shown,
      messagesLeftOut: (updated?.messagesLeftOut ?? 0) + selected.leftOut,
      model: model.identity,
      request: [...request.messages],
      reply: reply?.text ?? '',
    },
  };
}
