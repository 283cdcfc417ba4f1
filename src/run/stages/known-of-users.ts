/** What earlier stages have found out about messages and users. */

import type { ClassifiedMessage } from '../../pairs/rows.js';
import { readRows } from '../row-files.js';
import { classifiedSchema, feedbackUserSchema, personaSchema } from '../row-schemas.js';
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

/** The persona of each user who has one; nobody's where there are none. */
export async function personasByUser(
  input: StageInput | null,
  { forgotten }: StageSetup,
  work: StageWork,
): Promise<Map<string, string>> {
  const personas = new Map<string, string>();
  if (input === null) return personas;
  const path = await fileOf(input);
  for await (const row of readRows(path, personaSchema, { expected: work.expectedRows(path) })) {
    if (!forgotten.has(row.user)) personas.set(row.user, row.persona);
  }
  return personas;
}
