import { join } from 'node:path';
import { readConversations, writeConversations } from '../../data/conversations/conversation-file.js';
import { reconstructConversations } from '../../pairs/reconstruct/reconstruct-conversations.js';
import type { SectionOptions } from '../config/sections.js';
import { reconstructEstimate } from '../estimate.js';
import { fileOutput } from '../output-file.js';
import type { RunStage, StageInput } from '../stage.js';
import { askingStage } from './asking-stage.js';
import { withBooks } from './books.js';
import { conversationFacts } from './conversation-facts.js';
import { fileOf, type StageSetup, stageFiles } from './setup.js';

/** Answers every user message anew by a given model: WildLlamaChat's way. */
export function reconstructStage(
  setup: StageSetup,
  { conversationsAtOnce, ...options }: SectionOptions<'reconstruct'>,
  conversations: StageInput,
): RunStage {
  return askingStage(setup, {
    name: 'reconstruct',
    version: 1,
    options,
    templates: {},
    inputs: [conversations],
    estimate: (facts) => reconstructEstimate(facts, options),
    async run(work, model) {
      const path = join(work.folder, stageFiles.reconstruct);
      const { result: rows, counts } = await withBooks(work, async (open) => {
        const source = withoutForgotten(conversations, setup, work.signal);
        const settings = { model, conversationsAtOnce, ...options };
        const made = reconstructConversations(source, settings, open.context('conversations'));
        return await writeConversations(path, made);
      });
      const outputs = { [stageFiles.reconstruct]: await fileOutput(path, rows) };
      return { outputs, counts, facts: await conversationFacts(path) };
    },
  });
}

async function* withoutForgotten(input: StageInput, { forgotten }: StageSetup, signal: AbortSignal) {
  for await (const conversation of readConversations(await fileOf(input), { signal })) {
    if (!forgotten.has(conversation.user)) yield conversation;
  }
}
