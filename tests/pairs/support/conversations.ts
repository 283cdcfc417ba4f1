import type { ConversationTurn, SplitConversation } from '../../../src/data/conversation.js';
import { type Dropped, Tally } from '../../../src/data/tally.js';
import type { StageContext, StageProgress } from '../../../src/pairs/stage.js';

/**
 * A conversation from short lines: `u: ` is the user's, `a: ` the assistant's, `s: ` a system message.
 */
export function conversation(
  id: string,
  lines: readonly string[],
  rest: Partial<SplitConversation> = {},
): SplitConversation {
  const roles = { u: 'user', a: 'assistant', s: 'system' } as const;
  const turns = lines.map((line): ConversationTurn => {
    const [, mark, content] = /^([uas]): ?([\s\S]*)$/.exec(line) as unknown as [string, 'u', string];
    return { role: roles[mark], content };
  });
  return { id, user: `user of ${id}`, side: 'train', heldOut: false, model: 'gpt-4', turns, ...rest };
}

export interface WatchedContext extends StageContext {
  dropped: Dropped[];
  notices: string[];
  progress: StageProgress[];
}

/** A stage's context that keeps what it is told. */
export function watchedContext(unit = 'rows'): WatchedContext {
  const dropped: Dropped[] = [];
  const notices: string[] = [];
  const progress: StageProgress[] = [];
  return {
    tally: new Tally(unit, (each) => dropped.push(each)),
    onNotice: (notice) => notices.push(notice),
    onProgress: (each) => progress.push(each),
    dropped,
    notices,
    progress,
  };
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
