import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { givenPersonas } from '../../pairs/personas/given-personas.js';
import { inferPersonas } from '../../pairs/personas/infer-personas.js';
import { quotePersonas } from '../../pairs/personas/quote-personas.js';
import { createPersonaTemplate, loadPersonaTemplate } from '../../pairs/prompts/persona.js';
import type { PersonaRow } from '../../pairs/rows.js';
import type { SectionOptions } from '../config/sections.js';
import { personasEstimate } from '../estimate.js';
import { readRows } from '../row-files.js';
import { personaSchema } from '../row-schemas.js';
import type { RunStage, StageInput, StageWork } from '../stage.js';
import { askingStage, quietStage } from './asking-stage.js';
import { type StageBooks, withBooks } from './books.js';
import { classifiedMessages, keptUsers } from './known-of-users.js';
import { givenFiles, type StageSetup, stageFiles, trainingConversations } from './setup.js';

/**
 * Infers how each user wants answers. Where only the conversations have changed since the last time, the personas of
 * then are brought up to date rather than built anew.
 */
export function personasStage(
  setup: StageSetup,
  { method, file, ...options }: SectionOptions<'personas'>,
  inputs: PersonaInputs,
): RunStage {
  switch (method) {
    case 'generate':
      return inferredPersonas(setup, options, inputs);
    case 'quote':
      return quotedPersonas(setup, inputs);
    case 'given':
      // The configuration is checked for it.
      return knownPersonas(setup, file as string, inputs);
  }
}

export interface PersonaInputs {
  conversations: StageInput;
  classified: StageInput;
  users: StageInput | null;
}

/** The users' own words: no model is needed. */
function quotedPersonas(setup: StageSetup, inputs: PersonaInputs): RunStage {
  return quietStage({
    name: 'personas',
    version: 1,
    options: { method: 'quote' },
    templates: {},
    inputs: readBy(inputs),
    async run(work) {
      const { conversations, classified } = await historiesOf(inputs, setup, work);
      return writePersonas(work, (open) => quotePersonas(conversations, classified, open.context('users')));
    },
  });
}

/** A file of personas. */
const givenPersonaSchema = z.object({ user: z.string().min(1), persona: z.string() });

function knownPersonas(setup: StageSetup, file: string, inputs: PersonaInputs): RunStage {
  const given = givenFiles('given personas', [file]);
  return quietStage({
    name: 'personas',
    version: 1,
    options: { method: 'given' },
    templates: {},
    inputs: [...readBy(inputs), given],
    async run(work) {
      const personas = new Map<string, string>();
      for (const path of await given.files()) {
        for await (const { user, persona } of readRows(path, givenPersonaSchema)) personas.set(user, persona);
      }
      const { conversations, classified } = await historiesOf(inputs, setup, work);
      return writePersonas(work, (open) =>
        givenPersonas(conversations, classified, personas, open.context('users')),
      );
    },
  });
}

function inferredPersonas(
  setup: StageSetup,
  { template: path, ...options }: Omit<SectionOptions<'personas'>, 'method' | 'file'>,
  inputs: PersonaInputs,
): RunStage {
  const template = path === null ? createPersonaTemplate() : loadPersonaTemplate(path);
  return askingStage(setup, {
    name: 'personas',
    version: 1,
    options,
    templates: { persona: template.source },
    inputs: readBy(inputs),
    estimate: (facts) => personasEstimate(facts, options, template.source),
    async run(work, model) {
      const { conversations, classified } = await historiesOf(inputs, setup, work);
      const settings = { model, template, previous: await previousPersonas(work, setup), ...options };
      return writePersonas(work, (open) =>
        inferPersonas(conversations, classified, settings, open.context('users')),
      );
    },
  });
}

function readBy({ conversations, classified, users }: PersonaInputs): StageInput[] {
  return [conversations, classified, ...(users === null ? [] : [users])];
}

async function historiesOf(
  { conversations, classified, users }: PersonaInputs,
  setup: StageSetup,
  work: StageWork,
) {
  const kept = await keptUsers(users, setup, work);
  return {
    conversations: trainingConversations(conversations, setup, { users: kept, signal: work.signal }),
    classified: classifiedMessages(classified, setup, work, kept && new Set(kept)),
  };
}

async function writePersonas(work: StageWork, rows: (open: StageBooks) => AsyncGenerator<PersonaRow>) {
  const { outputs, counts } = await withBooks(work, async (open) => {
    await open.write(stageFiles.personas, rows(open));
  });
  return { outputs, counts, facts: { personas: outputs[stageFiles.personas]?.rows ?? 0 } };
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
