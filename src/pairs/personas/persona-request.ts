/** What a model is asked about one user. */
import type { ChatModel, ChatRequest } from '../../llm/chat-model.js';
import type { PersonaTemplate } from '../prompts/persona.js';
import { replyRoom } from '../reply-room.js';
import type { HistoryConversation } from './history.js';
import type { ResolvedPersonaOptions } from './persona-options.js';
import { type SelectedMessages, selectMessages } from './select-messages.js';

export interface PersonaQuestion {
  request: ChatRequest;
  selected: SelectedMessages;
}

/**
 * The request for a user's persona with as many of the messages as fit, or undefined where the model's context has no
 * room for even one.
 *
 * @param persona What is known from other conversations
 */
export function personaQuestion(
  user: string,
  history: readonly HistoryConversation[],
  persona: string | undefined,
  model: ChatModel,
  template: PersonaTemplate,
  options: ResolvedPersonaOptions,
): PersonaQuestion | undefined {
  const { maxHistoryTokens, maxMessageTokens, maxReplyTokens, temperature, topP, seed } = options;
  const render = ({ conversations }: Pick<SelectedMessages, 'conversations'>) =>
    template.render(
      conversations.map(({ messages }) =>
        messages.map(({ text, type }) => ({ text, feedback: type === 're-attempt-with-feedback' })),
      ),
      persona,
    );
  const room = (messages: ChatRequest['messages']) => replyRoom(model, messages) - maxReplyTokens;
  const available = room(render({ conversations: [] }));
  let budgetTokens = Math.min(maxHistoryTokens, available);
  for (;;) {
    const selected = selectMessages(history, {
      ...{ budgetTokens, maxMessageTokens },
      countTokens: (text) => model.countTokens(text),
    });
    if (selected.shown === 0) return undefined;
    const messages = render(selected);
    const missing = -room(messages);
    if (missing <= 0) {
      const sampling = { temperature, topP, seed, maxTokens: maxReplyTokens };
      return { request: { id: user, owner: user, messages, sampling }, selected };
    }
    // The template puts more around messages than was reckoned with.
    const share = available / (available + missing);
    budgetTokens = Math.min(budgetTokens - 1, Math.floor(budgetTokens * share));
  }
}
