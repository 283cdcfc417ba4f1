/** Math conversations with simulated users (appendix C.3), made of PRM800K's erroneous solutions. */
import { createHash } from 'node:crypto';
import type { SplitConversation } from '../../data/conversation.js';
import { checkOptions } from '../check-options.js';
import {
  createMathFeedbackTemplate,
  createMathProblemTemplate,
  type MathFeedbackTemplate,
  type MathProblemTemplate,
} from '../prompts/math.js';
import type { ClassifiedMessage } from '../rows.js';
import type { StageContext } from '../stage.js';
import { splitAnswer } from './answers.js';
import { type ErroneousSolution, erroneousSolution } from './erroneous-solution.js';
import { type MathOptions, mathOptionsSchema, type ResolvedMathOptions } from './options.js';
import type { ReadPrm800kRow } from './read-prm800k.js';
import { sampleSmallest } from './sample-smallest.js';

export interface MathSettings extends MathOptions {
  /** How the problem is asked. Default: ours, see `DEFAULT_MATH_PROBLEM_TEMPLATE`. */
  problemTemplate?: MathProblemTemplate;
  /** How the wrong step is pointed out. Default: ours, see `DEFAULT_MATH_FEEDBACK_TEMPLATE`. */
  feedbackTemplate?: MathFeedbackTemplate;
}

/** A solution that makes a conversation, under the conversation's id. */
interface Chosen {
  id: string;
  solution: ErroneousSolution;
}

/**
 * A conversation of three turns for each erroneous solution: the problem with the instruction to box the answer; the
 * solution; the simulated user, who names the first wrong step, 1-based, in one of several wordings, and says so where
 * the final answer is right all the same. Where the rows tell nothing of the true answer, the user does not speak of it,
 * and the conversation is noted as `answer-not-known`.
 *
 * A user is invented for each problem, `math-simulated-` and a hash of it: all solutions of a problem are one user's,
 * so that a split or draw by user never has a problem on both sides. All are on the training side. The messages' types
 * are known: see {@link mathMessages}.
 *
 * Books: solutions. Dropped: rows that can't be read (`unreadable-row`), problems that were reported as broken, those
 * without a rating up to the first wrong step, without a wrong step, not finished (where these are not wanted), the
 * same solution again, and those not drawn.
 *
 * @throws ConfigError for options that cannot be used
 */
export async function* mathConversations(
  rows: Iterable<ReadPrm800kRow> | AsyncIterable<ReadPrm800kRow>,
  { problemTemplate, feedbackTemplate, ...input }: MathSettings,
  context: StageContext,
): AsyncGenerator<SplitConversation> {
  const options = checkOptions(mathOptionsSchema, input, 'math');
  const problem = problemTemplate ?? createMathProblemTemplate();
  const feedback = feedbackTemplate ?? createMathFeedbackTemplate();
  const { tally } = context;
  for await (const chosen of draw(erroneousSolutions(rows, options, context), options, context)) {
    const { solution } = chosen;
    if (!solution.finished) tally.note('unfinished');
    else if (solution.answerIsRight === undefined) tally.note('answer-not-known');
    else if (solution.answerIsRight) tally.note('answer-right-all-the-same');
    tally.leave();
    yield mathConversation(chosen, options, problem, feedback);
  }
}

async function* erroneousSolutions(
  rows: Iterable<ReadPrm800kRow> | AsyncIterable<ReadPrm800kRow>,
  { unfinished }: ResolvedMathOptions,
  { tally, onProgress }: StageContext,
): AsyncGenerator<Chosen> {
  const seen = new Set<string>();
  let done = 0;
  for await (const { file, line, row, problem } of rows) {
    tally.enter();
    onProgress?.({ done: ++done, total: 0 });
    const place = { file, row: line };
    if (row === undefined) {
      tally.drop({ id: `${file}:${line}`, reason: 'unreadable-row', detail: problem, ...place });
      continue;
    }
    const solution = erroneousSolution(row);
    const id = `prm800k-${shortHash(JSON.stringify([row.question.problem, 'steps' in solution ? solution.steps : line]))}`;
    if ('reason' in solution) tally.drop({ id, reason: solution.reason, ...place });
    else if (!solution.finished && !unfinished) tally.drop({ id, reason: 'not-finished', ...place });
    else if (seen.has(id)) tally.drop({ id, reason: 'duplicate', ...place });
    else {
      seen.add(id);
      yield { id, solution };
    }
  }
}

/** The solutions of the smallest ranks, a hash of seed and id: which are drawn does not depend on their order. */
async function* draw(
  solutions: AsyncIterable<Chosen>,
  { size, seed }: ResolvedMathOptions,
  { tally, onNotice }: StageContext,
): AsyncGenerator<Chosen> {
  if (size === null) {
    yield* solutions;
    return;
  }
  const rank = ({ id }: Chosen) => createHash('sha256').update(`${seed} ${id}`).digest('hex');
  const drawn = await sampleSmallest(solutions, size, rank, ({ id }) =>
    tally.drop({ id, reason: 'not-drawn' }),
  );
  if (drawn.length < size) {
    onNotice?.(
      `${size} math conversations are wanted, but there are only ${drawn.length} erroneous solutions.`,
    );
  }
  yield* drawn;
}

function mathConversation(
  { id, solution }: Chosen,
  { seed, numberSteps }: ResolvedMathOptions,
  problem: MathProblemTemplate,
  feedback: MathFeedbackTemplate,
): SplitConversation {
  const wording = Number.parseInt(shortHash(`${seed} wording ${id}`), 16) % feedback.wordings;
  const answerIsRight = solution.answerIsRight ?? false;
  return {
    id,
    user: `math-simulated-${shortHash(solution.problem)}`,
    side: 'train',
    heldOut: false,
    turns: [
      { role: 'user', content: problem.render(solution.problem) },
      { role: 'assistant', content: solutionText(solution.steps, numberSteps) },
      { role: 'user', content: feedback.render(wording, solution.wrong + 1, answerIsRight) },
    ],
  };
}

/** The steps, an empty line between them; an answer under PRM800K's heading is put into the box that was asked for. */
function solutionText(steps: readonly string[], numberSteps: boolean): string {
  const shown = steps.map((step, index) => {
    const { text, answer } = splitAnswer(step);
    const boxed =
      answer === undefined ? '' : `The final answer is $\\boxed{${answer.replace(/^\$+|\$+$/g, '')}}$.`;
    const whole = [text, boxed].filter((part) => part !== '').join('\n\n');
    return numberSteps ? `Step ${index + 1}: ${whole}` : whole;
  });
  return shown.join('\n\n');
}

/** The types of a math conversation's user messages: the problem is the initial request, the rest is feedback. */
export function mathMessages({ id, user, turns }: SplitConversation): ClassifiedMessage[] {
  return turns.flatMap(({ role, content }, turn): ClassifiedMessage[] => {
    if (role !== 'user') return [];
    const type = turn === 0 ? 'initial-request' : 're-attempt-with-feedback';
    return [{ conversation: id, user, turn, type, characters: content.length, number: turn / 2 + 1 }];
  });
}

/** The first 12 hex digits of a text's SHA-256: 48 bits. */
function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
