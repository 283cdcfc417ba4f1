/** Personas that are known already: custom instructions, another tool's summaries, ones that were edited by hand. */
import type { SplitConversation } from '../../data/conversation.js';
import { byUser } from '../by-user.js';
import type { ClassifiedMessage, PersonaRow } from '../rows.js';
import type { StageContext } from '../stage.js';
import { messageCount, readableHistory } from './history.js';

/** What stands for the model in {@link PersonaRow}s that were given. */
export const GIVEN = 'given';

/**
 * The given persona of each user, in the order of the users.
 *
 * Books: users. Dropped: `no-persona-given`.
 *
 * @param given Personas by user
 * @throws DataError where conversations and classification do not belong together, see {@link byUser}
 */
export async function* givenPersonas(
  conversations: Iterable<SplitConversation> | AsyncIterable<SplitConversation>,
  classified: Iterable<ClassifiedMessage> | AsyncIterable<ClassifiedMessage>,
  given: Pick<ReadonlyMap<string, string>, 'get'>,
  { tally, onProgress }: StageContext,
): AsyncGenerator<PersonaRow> {
  let done = 0;
  for await (const { user, conversations: all } of byUser(conversations, classified)) {
    tally.enter();
    onProgress?.({ done: ++done, total: 0, text: `${done} users` });
    const persona = given.get(user)?.trim();
    if (!persona) {
      tally.drop({ id: user, user, reason: 'no-persona-given' });
      continue;
    }
    tally.leave();
    const history = readableHistory({ conversations: all });
    yield {
      user,
      persona,
      conversations: history.map(({ id }) => id),
      messagesShown: 0,
      messagesLeftOut: messageCount(history),
      model: GIVEN,
      request: [],
      reply: '',
    };
  }
}
