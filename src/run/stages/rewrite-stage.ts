import { createPersonaTemplate, loadPersonaTemplate } from '../../data/persona-prompt.js';
import type { ChatModel } from '../../llm/chat-model.js';
import { createRewriteTemplate, loadRewriteTemplate } from '../../pairs/prompts/rewrite.js';
import { type RewriteSettings, rewriteAnswers } from '../../pairs/rewrite/rewrite-answers.js';
import type { RewriteRow } from '../../pairs/rows.js';
import type { SectionOptions } from '../config/sections.js';
import { rewriteEstimate } from '../estimate.js';
import { readRows } from '../row-files.js';
import { personaSchema } from '../row-schemas.js';
import type { RunStage, StageInput, StageWork } from '../stage.js';
import { askingStage } from './asking-stage.js';
import { type StageBooks, withBooks } from './books.js';
import { classifiedMessages, keptUsers } from './classified-messages.js';
import { mathConversationsOf } from './math-stage.js';
import { fileOf, type StageSetup, stageFiles, trainingConversations } from './setup.js';

export interface RewriteInputs {
  /** Logs with their classification; null for a run on math conversations alone. */
  logs: { conversations: StageInput; classified: StageInput } | null;
  users: StageInput | null;
  personas: StageInput | null;
  math: StageInput | null;
}

/** Makes answers anew that users sent back: in the light of what they said, or from scratch; and the math ones. */
export function rewriteStage(
  setup: StageSetup,
  { template: path, ...options }: SectionOptions<'rewrite'>,
  inputs: RewriteInputs,
): RunStage {
  const { personaTemplate: personaPath } = setup.config;
  const template = path === null ? createRewriteTemplate() : loadRewriteTemplate(path);
  const personaTemplate = personaPath === null ? createPersonaTemplate() : loadPersonaTemplate(personaPath);
  const showsPersona = options.persona && inputs.personas !== null;
  const read = [
    inputs.logs?.conversations,
    inputs.logs?.classified,
    inputs.users,
    inputs.personas,
    inputs.math,
  ];
  return askingStage(setup, {
    name: 'rewrite',
    version: 1,
    options,
    templates: {
      rewrite: template.source,
      ...(showsPersona ? { persona_prompt: personaTemplate.source } : {}),
    },
    inputs: read.filter((input) => input !== null && input !== undefined),
    estimate: (facts) => rewriteEstimate(facts, options, template.source),
    async run(work, model) {
      const settings = { ...options, model, template, personaTemplate };
      const { outputs, counts } = await withBooks(work, async (open) => {
        await open.write(stageFiles.rewrite, rewrites(setup, inputs, { work, settings, open }));
      });
      return { outputs, counts, facts: { rewrites: outputs[stageFiles.rewrite]?.rows ?? 0 } };
    },
  });
}

interface Rewriting {
  work: StageWork;
  settings: RewriteSettings & { model: ChatModel };
  open: StageBooks;
}

async function* rewrites(
  setup: StageSetup,
  { logs, users, personas, math }: RewriteInputs,
  { work, settings, open }: Rewriting,
): AsyncGenerator<RewriteRow, void, void> {
  if (logs !== null) {
    const kept = await keptUsers(users, setup, work);
    const input = {
      conversations: trainingConversations(logs.conversations, setup, { users: kept, signal: work.signal }),
      messages: classifiedMessages(logs.classified, setup, work, kept && new Set(kept)),
      personas: await personasByUser(personas, setup, work),
    };
    yield* rewriteAnswers(input, settings, open.context('user messages'));
  }
  if (math !== null) {
    const input = await mathConversationsOf(math, work);
    yield* rewriteAnswers(input, { ...settings, source: 'math' }, open.context('math conversations'));
  }
}

async function personasByUser(
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
