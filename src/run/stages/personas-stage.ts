import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { inferPersonas } from '../../pairs/personas/infer-personas.js';
import { createPersonaTemplate, loadPersonaTemplate } from '../../pairs/prompts/persona.js';
import type { PersonaRow } from '../../pairs/rows.js';
import type { SectionOptions } from '../config/sections.js';
import { personasEstimate } from '../estimate.js';
import { readRows } from '../row-files.js';
import { personaSchema } from '../row-schemas.js';
import type { RunStage, StageInput, StageWork } from '../stage.js';
import { askingStage } from './asking-stage.js';
import { withBooks } from './books.js';
import { classifiedMessages, keptUsers } from './classified-messages.js';
import { type StageSetup, stageFiles, trainingConversations } from './setup.js';

/**
 * Infers how each user wants answers. Where only the conversations have changed since the last time, the personas of
 * then are brought up to date rather than built anew.
 */
export function personasStage(
  setup: StageSetup,
  { template: path, ...options }: SectionOptions<'personas'>,
  inputs: { conversations: StageInput; classified: StageInput; users: StageInput | null },
): RunStage {
  const template = path === null ? createPersonaTemplate() : loadPersonaTemplate(path);
  const { conversations, classified, users } = inputs;
  return askingStage(setup, {
    name: 'personas',
    version: 1,
    options,
    templates: { persona: template.source },
    inputs: [conversations, classified, ...(users === null ? [] : [users])],
    estimate: (facts) => personasEstimate(facts, options, template.source),
    async run(work, model) {
      const kept = await keptUsers(users, setup, work);
      const previous = await previousPersonas(work, setup);
      const { outputs, counts } = await withBooks(work, async (open) => {
        const rows = inferPersonas(
          trainingConversations(conversations, setup, { users: kept, signal: work.signal }),
          classifiedMessages(classified, setup, work, kept && new Set(kept)),
          { model, template, previous, ...options },
          open.context('users'),
        );
        await open.write(stageFiles.personas, rows);
      });
      return { outputs, counts, facts: { personas: outputs[stageFiles.personas]?.rows ?? 0 } };
    },
  });
}

async function previousPersonas(
  { previous }: StageWork,
  { forgotten }: StageSetup,
): Promise<Map<string, PersonaRow>> {
  const personas = new Map<string, PersonaRow>();
  const path = previous === null ? null : join(previous, stageFiles.personas);
  if (path === null || !existsSync(path)) return personas;
  for await (const row of readRows(path, personaSchema)) {
    if (!forgotten.has(row.user)) personas.set(row.user, row);
  }
  return personas;
}
