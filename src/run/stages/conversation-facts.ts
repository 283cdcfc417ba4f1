/** Figures of the conversations that are trained on: what the later stages' work can be estimated from. */

import { openEngine, sqlText } from '../../data/conversations/engine.js';

export interface ConversationFacts extends Record<string, number> {
  conversations: number;
  users: number;
  userMessages: number;
  answers: number;
  userCharacters: number;
  answerCharacters: number;
}

/** Counts them in a file of conversations; those of test users and those held out are left aside. */
export async function conversationFacts(path: string): Promise<ConversationFacts> {
  const engine = await openEngine({ memoryLimit: '512MB' });
  const of = (role: string) => `list_filter(turns, lambda turn: turn.role = '${role}')`;
  const characters = (role: string) =>
    `coalesce(sum(list_sum(list_transform(${of(role)}, lambda turn: length(turn.content)))), 0)::DOUBLE`;
  const messages = (role: string) => `coalesce(sum(len(${of(role)})), 0)::DOUBLE`;
  try {
    const [facts] = await engine.all<ConversationFacts>(
      `SELECT count(*)::DOUBLE AS conversations, count(DISTINCT "user")::DOUBLE AS users,
        ${messages('user')} AS "userMessages", ${messages('assistant')} AS answers,
        ${characters('user')} AS "userCharacters", ${characters('assistant')} AS "answerCharacters"
      FROM read_parquet(${sqlText(path)}) WHERE side = 'train' AND NOT held_out`,
    );
    return facts as ConversationFacts;
  } finally {
    await engine.close();
  }
}
