import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SplitConversation } from '../../../src/data/conversation.js';
import { writeConversations } from '../../../src/data/conversations/conversation-file.js';
import { said } from '../../pairs/support/classified-conversations.js';

/** A user with a history of two conversations and one held out, of two turns. */
export function evaluationUser(user: string): SplitConversation[] {
  const of = { user, side: 'test' as const };
  return [
    said(`${user}-1`, [`${user} asks one`, 'shorter please'], { ...of, heldOut: false }),
    said(`${user}-2`, [`${user} asks two`], { ...of, heldOut: false }),
    said(`${user}-3`, [`${user} asks three`, `${user} asks again`], { ...of, heldOut: true }),
  ];
}

export async function evaluationFile(conversations: readonly SplitConversation[]): Promise<string> {
  const path = join(mkdtempSync(join(tmpdir(), 'user-eval-')), 'evaluation.parquet');
  async function* rows() {
    yield* conversations;
  }
  await writeConversations(path, rows());
  return path;
}
