/** Personas in the users' own words: for models too small to sum up what they read. */
import type { SplitConversation } from '../../data/conversation.js';
import { byUser, type UserHistory } from '../by-user.js';
import { wording } from '../classify/follow-ups.js';
import type { ClassifiedMessage, PersonaRow } from '../rows.js';
import type { StageContext } from '../stage.js';
import { messageCount, readableHistory } from './history.js';
import { MAX_POINTS } from './persona-points.js';

/** A longer message is cut at a word: what was wrong with an answer is said in its beginning. */
const MAX_QUOTE_CHARACTERS = 160;

/** What stands for the model in {@link PersonaRow}s that none has made. */
export const QUOTED = 'quotes of the user';

/**
 * A persona for each user, in the order of the users: the newest messages, up to five, by which the user sent an answer
 * back, each as a point of its own. Only the user's own messages of conversations that are not held out are quoted.
 *
 * Books: users. Dropped: `no-messages`, and `no-feedback` where no message says how an answer should have been.
 *
 * @throws DataError where conversations and classification do not belong together, see {@link byUser}
 */
export async function* quotePersonas(
  conversations: Iterable<SplitConversation> | AsyncIterable<SplitConversation>,
  classified: Iterable<ClassifiedMessage> | AsyncIterable<ClassifiedMessage>,
  { tally, onProgress }: StageContext,
): AsyncGenerator<PersonaRow> {
  let done = 0;
  for await (const history of byUser(conversations, classified)) {
    tally.enter();
    onProgress?.({ done: ++done, total: 0, text: `${done} users` });
    const row = quoted(history);
    if ('reason' in row) {
      tally.drop({ id: history.user, user: history.user, ...row });
      continue;
    }
    tally.leave();
    yield row;
  }
}

function quoted({ user, conversations }: UserHistory): PersonaRow | { reason: string; detail: string } {
  const history = readableHistory({ conversations });
  const count = messageCount(history);
  if (count === 0) return { reason: 'no-messages', detail: 'every conversation is held out or empty' };
  const feedback = history
    .flatMap(({ messages }) => messages)
    .filter(({ type }) => type === 're-attempt-with-feedback')
    .map(({ text }) => text);
  if (feedback.length === 0) return { reason: 'no-feedback', detail: `none of ${count} messages` };
  const quotes = newestOfEach(feedback).slice(-MAX_POINTS);
  return {
    user,
    persona: quotes.map((text) => `- Told an assistant: "${shortened(text)}"`).join('\n'),
    conversations: history.map(({ id }) => id),
    messagesShown: quotes.length,
    messagesLeftOut: count - quotes.length,
    model: QUOTED,
    request: [],
    reply: '',
  };
}

/** Messages of the same wording once, where it came last; from the oldest to the newest. */
function newestOfEach(messages: readonly string[]): string[] {
  const byWording = new Map<string, string>();
  for (const text of messages) {
    const key = wording(text);
    byWording.delete(key);
    byWording.set(key, text);
  }
  return [...byWording.values()];
}

function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ').replaceAll('"', "'").trim();
  if (line.length <= MAX_QUOTE_CHARACTERS) return line;
  const beginning = line.slice(0, MAX_QUOTE_CHARACTERS);
  return `${beginning.slice(0, Math.max(beginning.lastIndexOf(' '), 1)).trimEnd()} ...`;
}
