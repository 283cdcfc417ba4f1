import { z } from 'zod';
import type { SplitConversation } from '../../data/conversation.js';
import { mathConversations, mathMessages } from '../../pairs/math/math-conversations.js';
import { readPrm800k } from '../../pairs/math/read-prm800k.js';
import {
  createMathFeedbackTemplate,
  createMathProblemTemplate,
  loadMathFeedbackTemplate,
  loadMathProblemTemplate,
} from '../../pairs/prompts/math.js';
import type { RewriteInput } from '../../pairs/rewrite/rewrite-answers.js';
import type { SectionOptions } from '../config/sections.js';
import { readRows } from '../row-files.js';
import type { RunStage, StageInput, StageWork } from '../stage.js';
import { quietStage } from './asking-stage.js';
import { withBooks } from './books.js';
import { fileOf, givenFiles, stageFiles } from './setup.js';

const turnSchema = z.object({ role: z.enum(['system', 'user', 'assistant']), content: z.string() });
export const mathConversationSchema: z.ZodType<SplitConversation> = z.object({
  id: z.string(),
  user: z.string(),
  side: z.enum(['train', 'test']),
  heldOut: z.boolean(),
  turns: z.array(turnSchema).min(1),
});

/** Makes conversations of graded solutions, with users who point out the first wrong step (appendix C.3). */
export function mathStage(section: SectionOptions<'math'>): RunStage {
  const { input, problemTemplate: problemPath, feedbackTemplate: feedbackPath, ...options } = section;
  const problem = problemPath === null ? createMathProblemTemplate() : loadMathProblemTemplate(problemPath);
  const feedback =
    feedbackPath === null ? createMathFeedbackTemplate() : loadMathFeedbackTemplate(feedbackPath);
  const solutions = givenFiles('solutions', input);
  return quietStage({
    name: 'math',
    version: 2,
    options,
    templates: { math_problem: problem.source, math_feedback: feedback.source },
    inputs: [solutions],
    async run(work) {
      let answerCharacters = 0;
      const { outputs, counts } = await withBooks(work, async (open) => {
        const settings = { ...options, problemTemplate: problem, feedbackTemplate: feedback };
        const made = mathConversations(allRows(await solutions.files()), settings, open.context('solutions'));
        await open.write(stageFiles.math, made, ({ turns }) => {
          answerCharacters += turns[1]?.content.length ?? 0;
        });
      });
      const conversations = outputs[stageFiles.math]?.rows ?? 0;
      return { outputs, counts, facts: { conversations, answerCharacters } };
    },
  });
}

async function* allRows(files: readonly string[]) {
  for (const file of files) yield* readPrm800k(file);
}

/** What the math stage wrote, as rewriting reads it. */
export async function mathConversationsOf(input: StageInput, work: StageWork): Promise<RewriteInput> {
  const path = await fileOf(input);
  const read = () => readRows(path, mathConversationSchema, { expected: work.expectedRows(path) });
  async function* messages() {
    for await (const conversation of read()) yield* mathMessages(conversation);
  }
  return { conversations: read(), messages: messages() };
}
