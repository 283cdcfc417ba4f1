import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { classifyMessages } from '../../pairs/classify/classify-messages.js';
import { type ClassificationStatistics, classificationStatistics } from '../../pairs/classify/statistics.js';
import {
  createClassificationTemplate,
  loadClassificationTemplate,
} from '../../pairs/prompts/classification.js';
import type { SectionOptions } from '../config/sections.js';
import { classifyEstimate } from '../estimate.js';
import { readRows } from '../row-files.js';
import { classifiedSchema } from '../row-schemas.js';
import type { RunStage, StageInput } from '../stage.js';
import { askingStage } from './asking-stage.js';
import { withBooks } from './books.js';
import { type StageSetup, stageFiles, trainingConversations } from './setup.js';

/** Section 2.2's statistics, beside the classified messages. */
export const STATISTICS_FILE = 'statistics.json';

/** Tells what kind each user message of the training side is. */
export function classifyStage(
  setup: StageSetup,
  { template: path, ...options }: SectionOptions<'classify'>,
  conversations: StageInput,
): RunStage {
  const template = path === null ? createClassificationTemplate() : loadClassificationTemplate(path);
  return askingStage(setup, {
    name: 'classify',
    version: 1,
    options,
    templates: { classification: template.source },
    inputs: [conversations],
    estimate: (facts) => classifyEstimate(facts, options, template.source),
    async run(work, model) {
      const file = stageFiles.classify;
      const books = await withBooks(work, async (open) => {
        const source = trainingConversations(conversations, setup, { signal: work.signal });
        const context = open.context('user messages');
        await open.write(file, classifyMessages(source, { model, template, ...options }, context));
      });
      const rows = readRows(join(work.folder, file), classifiedSchema, {
        expected: books.outputs[file]?.rows ?? null,
      });
      const statistics = await classificationStatistics(rows);
      writeFileSync(join(work.folder, STATISTICS_FILE), `${JSON.stringify(statistics, null, 2)}\n`);
      return { outputs: books.outputs, counts: books.counts, facts: classifyFacts(statistics) };
    },
  });
}

/** What later stages' estimates use. */
export function classifyFacts({ types, messages, users }: ClassificationStatistics): Record<string, number> {
  return { messages, users, feedback: types['re-attempt-with-feedback'].count };
}
