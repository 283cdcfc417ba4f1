/** Conversations of a file, be it ours or a log as it was published. */

import { join } from 'node:path';
import type { SplitConversation } from '../../data/conversation.js';
import { readConversations } from '../../data/conversations/conversation-file.js';
import { ingestConversations } from '../../data/conversations/ingest.js';
import { DataError } from '../../errors.js';

/** No filter of appendix C.1: the data are to be looked at as they are. */
const UNFILTERED = {
  languages: null,
  dropMidjourney: false,
  minConversations: null,
  maxConversations: null,
  maxTurns: null,
} as const;

export interface ReadingContext {
  signal?: AbortSignal;
  /** Hears of what could not be used, with its number. */
  onNotice?: (message: string) => void;
}

/**
 * All conversations of a `conversations.parquet`, or of a log in any form that ingesting reads, without filters.
 *
 * @param scratch Folder for what reading a log makes; the caller removes it afterwards
 * @throws DataError for a file that is neither
 */
export async function conversationsIn(
  file: string,
  scratch: string,
  { signal, onNotice }: ReadingContext = {},
): Promise<AsyncGenerator<SplitConversation>> {
  const calls = signal === undefined ? {} : { signal };
  if (await isOurs(file)) return readConversations(file, calls);
  const { paths, funnel } = await ingestConversations(
    { input: file, output: join(scratch, 'conversations'), missingUser: 'separate', ...UNFILTERED },
    calls,
  );
  for (const [reason, count] of funnel.flatMap(({ counts }) => Object.entries(counts.dropped))) {
    if (count > 0) onNotice?.(`${file}: ${count} conversations left out, ${reason}`);
  }
  return readConversations(paths.conversations, calls);
}

async function isOurs(file: string): Promise<boolean> {
  if (!file.endsWith('.parquet')) return false;
  try {
    for await (const _ of readConversations(file, { users: [] })) break;
    return true;
  } catch (error) {
    if (error instanceof DataError) return false;
    throw error;
  }
}
