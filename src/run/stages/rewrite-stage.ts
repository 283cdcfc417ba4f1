import { createPersonaTemplate, loadPersonaTemplate } from '../../data/persona-prompt.js';
import type { ChatModel } from '../../llm/chat-model.js';
import { createRewriteTemplate, loadRewriteTemplate } from '../../pairs/prompts/rewrite.js';
import { loggedAnswers } from '../../pairs/rewrite/logged-answers.js';
import { type RewriteSettings, rewriteAnswers } from '../../pairs/rewrite/rewrite-answers.js';
import type { RewriteRow } from '../../pairs/rows.js';
import { asksModel, type SectionOptions } from '../config/sections.js';
import { rewriteEstimate } from '../estimate.js';
import type { KnownFacts, RunStage, StageInput, StageWork } from '../stage.js';
import { askingStage, quietStage } from './asking-stage.js';
import { type StageBooks, withBooks } from './books.js';
import { classifiedMessages, keptUsers, personasByUser } from './known-of-users.js';
import { mathConversationsOf } from './math-stage.js';
import { type StageSetup, stageFiles, trainingConversations } from './setup.js';

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
  const asks = asksModel('rewrite', setup.config.sections);
  const parts = {
    name: 'rewrite' as const,
    version: 2,
    options,
    templates: asks
      ? { rewrite: template.source, ...(showsPersona ? { persona_prompt: personaTemplate.source } : {}) }
      : {},
    inputs: read.filter((input) => input !== null && input !== undefined),
    async run(work: StageWork, model?: ChatModel) {
      const settings = { ...options, template, personaTemplate };
      const { outputs, counts } = await withBooks(work, async (open) => {
        await open.write(stageFiles.rewrite, rewrites(setup, inputs, { work, settings, model, open }));
      });
      return { outputs, counts, facts: { rewrites: outputs[stageFiles.rewrite]?.rows ?? 0 } };
    },
  };
  if (!asks) return quietStage(parts);
  const estimate = (facts: KnownFacts) => rewriteEstimate(facts, options, template.source);
  return askingStage(setup, { ...parts, estimate });
}

interface Rewriting {
  work: StageWork;
  settings: Omit<SectionOptions<'rewrite'>, 'template'> &
    Pick<RewriteSettings, 'template' | 'personaTemplate'>;
  /** Absent where only the log's own answers are taken. */
  model: ChatModel | undefined;
  open: StageBooks;
}

async function* rewrites(
  setup: StageSetup,
  { logs, users, personas, math }: RewriteInputs,
  { work, settings: { source, ...settings }, model, open }: Rewriting,
): AsyncGenerator<RewriteRow, void, void> {
  if (logs !== null) {
    const kept = await keptUsers(users, setup, work);
    const input = {
      conversations: trainingConversations(logs.conversations, setup, { users: kept, signal: work.signal }),
      messages: classifiedMessages(logs.classified, setup, work, kept && new Set(kept)),
      personas: await personasByUser(personas, setup, work),
    };
    const context = open.context('user messages');
    if (source === 'logged') yield* loggedAnswers(input, settings, context);
    else yield* rewriteAnswers(input, { ...settings, source, model: model as ChatModel }, context);
  }
  if (math !== null) {
    const input = await mathConversationsOf(math, work);
    const asked = { ...settings, source: 'math' as const, model: model as ChatModel };
    yield* rewriteAnswers(input, asked, open.context('messages of math conversations'));
  }
}
