import { selectPrompts } from '../../pairs/candidates/select-prompts.js';
import type { PromptRow } from '../../pairs/rows.js';
import type { SectionOptions } from '../config/sections.js';
import { readRows } from '../row-files.js';
import { promptSchema } from '../row-schemas.js';
import type { RunStage, StageInput, StageWork } from '../stage.js';
import { quietStage } from './asking-stage.js';
import { withBooks } from './books.js';
import { classifiedMessages, keptUsers, personasByUser } from './known-of-users.js';
import { fileOf, type StageSetup, stageFiles, trainingConversations } from './setup.js';

export interface PromptInputs {
  conversations: StageInput;
  classified: StageInput;
  users: StageInput | null;
  personas: StageInput | null;
}

/** Chooses the user messages that the policy is to answer anew, for candidates and for online training. */
export function promptsStage(
  setup: StageSetup,
  options: SectionOptions<'prompts'>,
  { conversations, classified, users, personas }: PromptInputs,
): RunStage {
  return quietStage({
    name: 'prompts',
    version: 1,
    options,
    templates: {},
    inputs: [conversations, classified, users, personas].filter((input) => input !== null),
    async run(work) {
      const facts = { prompts: 0, users: 0, characters: 0 };
      const seen = new Set<string>();
      const { outputs, counts } = await withBooks(work, async (open) => {
        const kept = await keptUsers(users, setup, work);
        const input = {
          conversations: trainingConversations(conversations, setup, { users: kept, signal: work.signal }),
          messages: classifiedMessages(classified, setup, work, kept && new Set(kept)),
          personas: await personasByUser(personas, setup, work),
        };
        const rows = selectPrompts(input, options, open.context('user messages'));
        await open.write(stageFiles.prompts, rows, (row) => addPrompt(facts, seen, row));
      });
      return { outputs, counts, facts };
    },
  });
}

interface PromptFacts extends Record<string, number> {
  prompts: number;
  users: number;
  characters: number;
}

function addPrompt(facts: PromptFacts, seen: Set<string>, { user, prompt, persona = '' }: PromptRow): void {
  facts.prompts++;
  facts.characters += prompt.reduce((sum, { content }) => sum + content.length, persona.length);
  facts.users = seen.add(user).size;
}

/** What estimates use, of prompts that are there. */
export async function promptFacts(path: string): Promise<Record<string, number>> {
  const facts = { prompts: 0, users: 0, characters: 0 };
  const seen = new Set<string>();
  for await (const row of readRows(path, promptSchema)) addPrompt(facts, seen, row);
  return facts;
}

/** The prompts of users who were not forgotten. */
export async function* promptsOf(
  input: StageInput,
  { forgotten }: Pick<StageSetup, 'forgotten'>,
  work: Pick<StageWork, 'expectedRows'>,
): AsyncGenerator<PromptRow, void, void> {
  const path = await fileOf(input);
  for await (const row of readRows(path, promptSchema, { expected: work.expectedRows(path) })) {
    if (!forgotten.has(row.user)) yield row;
  }
}
