import type { Message } from '../data/pairs.js';

/** Messages with role and content alone: what a model sees of them. */
export function plainMessages(messages: readonly Message[]): Message[] {
  return messages.map(({ role, content }) => ({ role, content }));
}
