import { readConversations } from '../../data/conversations/conversation-file.js';
import { createRandom } from '../../data/random.js';
import { Tally } from '../../data/tally.js';
import { DataError } from '../../errors.js';
import { type EvaluationUser, evaluationUsers } from './turns.js';

export interface SampledUsers {
  /** In the order of the file. */
  users: EvaluationUser[];
  /** Of all users of the file. */
  tally: Tally;
  /** Users that could have been drawn. */
  eligible: number;
}

/**
 * Users of a file that ingesting wrote (`evaluation.parquet`), drawn by seed. The file is read twice, so that only
 * what was drawn is in memory.
 *
 * @param count All where there are fewer, or null
 * @throws DataError where no user has a history and held-out answers
 */
export async function sampleUsers(
  file: string,
  count: number | null,
  { seed, signal }: { seed: number; signal?: AbortSignal },
): Promise<SampledUsers> {
  const reading = signal === undefined ? {} : { signal };
  const tally = new Tally('users');
  const names: string[] = [];
  for await (const { user } of evaluationUsers(readConversations(file, reading), tally)) names.push(user);
  if (names.length === 0) throw nobody(file, tally);
  // By name first: the draw does not depend on how the file is sorted.
  const drawn = createRandom(seed)
    .shuffle([...names].sort())
    .slice(0, count ?? names.length);
  const users: EvaluationUser[] = [];
  const again = readConversations(file, { ...reading, users: drawn });
  for await (const user of evaluationUsers(again, new Tally('users'))) users.push(user);
  return { users, tally, eligible: names.length };
}

function nobody(file: string, tally: Tally): DataError {
  const { in: all, dropped } = tally.counts();
  const reasons = Object.entries(dropped).map(([reason, number]) => `${number} ${reason}`);
  return new DataError(
    `expected users with earlier conversations and held-out ones that were answered, found none among ${all} users` +
      `${reasons.length === 0 ? '' : ` (${reasons.join(', ')})`}. Give evaluation.parquet of a run whose log has ` +
      'users with at least evaluation_min_conversations conversations.',
    { file },
  );
}
