import type { SplitConversation } from '../../data/conversation.js';
import { Tally } from '../../data/tally.js';
import type { ChatModel } from '../../llm/chat-model.js';
import { userMessages } from '../../pairs/classify/follow-ups.js';
import { inferPersonas } from '../../pairs/personas/infer-personas.js';
import type { PersonaTemplate } from '../../pairs/prompts/persona.js';
import type { ClassifiedMessage } from '../../pairs/rows.js';
import type { StageContext } from '../../pairs/stage.js';
import type { EvaluationUser } from './turns.js';

export interface HistoryPersonas {
  /** By user; nothing for those of whom none could be inferred. */
  personas: Map<string, string>;
  tally: Tally;
}

/**
 * Each user's persona from the conversations before the held-out ones (section 3.4), by the model that will use it. The
 * messages are not classified: they are shown from the newest on, as far as there is room.
 */
export async function personasOfHistories(
  users: readonly EvaluationUser[],
  settings: { model: ChatModel; template?: PersonaTemplate; seed: number },
  context: Omit<StageContext, 'tally'>,
): Promise<HistoryPersonas> {
  const conversations = users.flatMap(({ history }) => history);
  const tally = new Tally('personas');
  const personas = new Map<string, string>();
  const rows = inferPersonas(conversations, conversations.flatMap(messagesOf), settings, {
    ...context,
    tally,
  });
  for await (const { user, persona } of rows) personas.set(user, persona);
  return { personas, tally };
}

function messagesOf(conversation: SplitConversation): ClassifiedMessage[] {
  const { id, user } = conversation;
  return userMessages(conversation).map(({ turn, number, content }) => ({
    ...{ conversation: id, user, turn, number },
    type: number === 1 ? 'initial-request' : 'unclassified',
    characters: content.length,
  }));
}
