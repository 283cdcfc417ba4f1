/** Takes conversations out of a file of them, keeping the order of the others. */

import { placeFileAtomic } from '../../data/atomic-write.js';
import { FILE_FORMAT } from '../../data/conversations/conversation-file.js';
import { openEngine, sqlText } from '../../data/conversations/engine.js';

/** Rewrites the file without the conversations of these users; returns how many are left. */
export function removeUsers(path: string, users: readonly string[]): Promise<number> {
  return keepWhere(path, `"user" NOT IN (${users.map(sqlText).join(', ')})`);
}

export interface UserInFile {
  user: string;
  conversations: number;
  /** Of these, those that are trained on. */
  training: number;
}

/** All users of a file, in its order. */
export async function usersIn(path: string): Promise<UserInFile[]> {
  const engine = await openEngine({ memoryLimit: '512MB' });
  try {
    return await engine.all<UserInFile & Record<string, string | number>>(
      `SELECT "user", count(*)::DOUBLE AS conversations,
        count_if(side = 'train' AND NOT held_out)::DOUBLE AS training
       FROM read_parquet(${sqlText(path)}) GROUP BY "user" ORDER BY "user"`,
    );
  } finally {
    await engine.close();
  }
}

async function keepWhere(path: string, condition: string): Promise<number> {
  const engine = await openEngine({ memoryLimit: '512MB' });
  try {
    return await placeFileAtomic(path, (temporary) =>
      engine.run(
        `COPY (SELECT * FROM read_parquet(${sqlText(path)}) WHERE ${condition}) TO ${sqlText(temporary)} (${FILE_FORMAT})`,
      ),
    );
  } finally {
    await engine.close();
  }
}
