import type { ChatModel } from '../../llm/chat-model.js';
import { filterFeedbackUsers } from '../../pairs/personas/filter-feedback-users.js';
import { createFeedbackUserTemplate, loadFeedbackUserTemplate } from '../../pairs/prompts/feedback-user.js';
import type { SectionOptions } from '../config/sections.js';
import { usersEstimate } from '../estimate.js';
import type { KnownFacts, RunStage, StageInput, StageWork } from '../stage.js';
import { askingStage, quietStage } from './asking-stage.js';
import { withBooks } from './books.js';
import { classifiedMessages } from './known-of-users.js';
import { type StageSetup, stageFiles, trainingConversations } from './setup.js';

/** Keeps the users who give meaningful feedback (appendix C.1, step 6). */
export function usersStage(
  setup: StageSetup,
  { template: path, ...options }: SectionOptions<'users'>,
  { conversations, classified }: { conversations: StageInput; classified: StageInput },
): RunStage {
  const template = path === null ? createFeedbackUserTemplate() : loadFeedbackUserTemplate(path);
  const parts = {
    name: 'users' as const,
    version: 1,
    options,
    templates: options.method === 'rule' ? {} : { feedback_user: template.source },
    inputs: [conversations, classified],
    async run(work: StageWork, model?: ChatModel) {
      const { outputs, counts } = await withBooks(work, async (open) => {
        const rows = filterFeedbackUsers(
          trainingConversations(conversations, setup, { signal: work.signal }),
          classifiedMessages(classified, setup, work),
          { ...(model === undefined ? {} : { model }), template, ...options },
          open.context('users'),
        );
        await open.write(stageFiles.users, rows);
      });
      return { outputs, counts, facts: { users: outputs[stageFiles.users]?.rows ?? 0 } };
    },
  };
  if (options.method === 'rule') return quietStage(parts);
  const estimate = (facts: KnownFacts) => usersEstimate(facts, options, template.source);
  return askingStage(setup, { ...parts, estimate });
}
