import type { ClassifiedMessage } from '../../pairs/rows.js';
import { readRows } from '../row-files.js';
import { classifiedSchema, feedbackUserSchema } from '../row-schemas.js';
import type { StageInput, StageWork } from '../stage.js';
import { fileOf, type StageSetup } from './setup.js';

/** The classified messages of all users, or of some. */
export async function* classifiedMessages(
  input: StageInput,
  { forgotten }: StageSetup,
  work: StageWork,
  users?: ReadonlySet<string>,
): AsyncGenerator<ClassifiedMessage, void, void> {
  const path = await fileOf(input);
  for await (const message of readRows(path, classifiedSchema, { expected: work.expectedRows(path) })) {
    if (forgotten.has(message.user) || !(users?.has(message.user) ?? true)) continue;
    yield message;
  }
}

/** The users who were kept; undefined where there was no filter, so that all are. */
export async function keptUsers(
  input: StageInput | null,
  { forgotten }: StageSetup,
  work: StageWork,
): Promise<string[] | undefined> {
  if (input === null) return undefined;
  const path = await fileOf(input);
  const users: string[] = [];
  for await (const { user } of readRows(path, feedbackUserSchema, { expected: work.expectedRows(path) })) {
    if (!forgotten.has(user)) users.push(user);
  }
  return users;
}
