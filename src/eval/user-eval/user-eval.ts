/** WildChat UserEval (section 3.4): a model's answers to real users, judged against the answers that the users got. */
import type { PersonaTemplate as PersonaPromptTemplate } from '../../data/persona-prompt.js';
import { type Dropped, Tally } from '../../data/tally.js';
import { PersonaDpoError } from '../../errors.js';
import type { ChatModel } from '../../llm/chat-model.js';
import { checkOptions } from '../../pairs/check-options.js';
import type { PersonaTemplate } from '../../pairs/prompts/persona.js';
import type { StageContext } from '../../pairs/stage.js';
import type { EvaluationResultInput } from '../results.js';
import { type AnsweredTurn, answerTurns } from './answer-turns.js';
import { personasOfHistories } from './histories.js';
import { type JudgeTemplates, judgeTemplates } from './judge-templates.js';
import { judgeTurns, type TurnJudgment } from './judge-turns.js';
import {
  PERSONA_AXES,
  type ResolvedUserEvalOptions,
  type UserEvalOptions,
  userEvalOptionsSchema,
} from './options.js';
import { answersToLookAt, judgeTable, winRateTable } from './result.js';
import { sampleUsers } from './sample-users.js';
import type { EvaluationUser } from './turns.js';
import { type AxisResult, axisResults } from './win-rates.js';

export interface UserEvalSettings extends UserEvalOptions {
  /** File of conversations that ingesting wrote, with users' histories and what was held out: `evaluation.parquet`. */
  conversations: string;
  /** Who answers. */
  model: ChatModel;
  /** Who judges. */
  judge: ChatModel;
  /**
   * Personas that are known, by user: the judge then infers none, and a persona-guided model is given the same.
   * Default: judge and model infer their own, from the history.
   */
  personas?: ReadonlyMap<string, string>;
  /** Prompts. Default: ours. */
  templates?: JudgeTemplates;
  personaInference?: PersonaTemplate;
  personaPrompt?: PersonaPromptTemplate;
}

export interface UserEvalOutcome {
  /** In the order of users and turns. */
  answers: AnsweredTurn[];
  judgments: TurnJudgment[];
  /** What the judge knew of the users. */
  personas: Map<string, string>;
  axes: AxisResult[];
  result: EvaluationResultInput;
  /** Users, personas, turns, verdicts: what came in, went out, and why the rest did not. */
  tallies: Tally[];
}

export interface UserEvalContext extends Omit<StageContext, 'tally'> {
  /** Hears of each thing left out. */
  onDrop?: (dropped: Dropped) => void;
}

/**
 * Lets `model` answer every user message of the held-out conversations, in the light of the log's own conversation up to
 * there, and `judge` decide between its answer and the log's. Replies come from the models as they are given: with a
 * reply cache, the same call again asks nothing twice.
 *
 * @throws ConfigError for options that cannot be used, DataError for a file without such users, PersonaDpoError
 *   (`EVALUATION`) where not one answer or verdict came of it, and whatever the models throw
 */
export async function userEval(
  { conversations, model, judge, personas: known, templates = judgeTemplates(), ...rest }: UserEvalSettings,
  context: UserEvalContext = {},
): Promise<UserEvalOutcome> {
  const { personaInference, personaPrompt, ...input } = rest;
  const options = checkOptions(userEvalOptionsSchema, input, 'user-eval');
  const started = Date.now();
  const sampled = await sampleUsers(conversations, options.users, {
    seed: options.seed,
    ...(context.signal === undefined ? {} : { signal: context.signal }),
  });
  const { users } = sampled;
  const tallies = [sampled.tally];
  const inferred = async (by: ChatModel) => {
    if (known !== undefined) return new Map(known);
    const template = personaInference === undefined ? {} : { template: personaInference };
    const found = await personasOfHistories(users, { model: by, seed: options.seed, ...template }, context);
    tallies.push(found.tally);
    return found.personas;
  };
  const seen = needsPersonas(options) ? await inferred(judge) : new Map<string, string>();
  const guided = options.inference === 'persona-guided' ? await inferred(model) : undefined;

  const turns = new Tally('turns', context.onDrop);
  const answers = await answerTurns(
    users.flatMap((user) => user.turns),
    model,
    {
      ...options,
      ...(guided === undefined ? {} : { personas: guided }),
      ...(personaPrompt === undefined ? {} : { personaTemplate: personaPrompt }),
    },
    { ...context, tally: turns },
  );
  if (answers.length === 0) throw nothing('answers', turns);
  const verdicts = new Tally('verdicts', context.onDrop);
  const judging = { ...options, templates, personas: seen };
  const judgments = await judgeTurns(answers, judge, judging, { ...context, tally: verdicts });
  if (verdicts.counts().out === 0) throw nothing('verdicts', verdicts);
  tallies.push(turns, verdicts);
  const axes = axisResults(judgments, options);
  const seconds = (Date.now() - started) / 1000;
  const result = {
    ...resultOf(axes, options, { users, eligible: sampled.eligible, model, judge, turns }),
    answers: answersToLookAt(answers, judgments, seen),
    seconds,
  };
  return { answers, judgments, personas: seen, axes, result, tallies };
}

function needsPersonas({ axes }: ResolvedUserEvalOptions): boolean {
  return axes.some((axis) => PERSONA_AXES.includes(axis));
}

function nothing(what: string, tally: Tally): PersonaDpoError {
  const dropped = Object.entries(tally.counts().dropped).map(([reason, count]) => `${count} ${reason}`);
  return new PersonaDpoError('EVALUATION', `There are no ${what} to go by: ${dropped.join(', ')}.`);
}

function resultOf(
  axes: readonly AxisResult[],
  options: ResolvedUserEvalOptions,
  found: {
    users: readonly EvaluationUser[];
    eligible: number;
    model: ChatModel;
    judge: ChatModel;
    turns: Tally;
  },
): EvaluationResultInput {
  const { users, eligible, model, judge, turns } = found;
  const guided = options.inference === 'persona-guided';
  return {
    kind: 'evaluation',
    format: 1,
    // Both kinds of inference can stand beside one another in a run.
    name: guided ? 'user-eval-persona-guided' : 'user-eval',
    title: guided ? 'UserEval, persona-guided inference' : 'UserEval',
    about:
      `${turns.counts().out} answers to ${users.length} users (of ${eligible}) in their held-out conversations, judged ` +
      "against the log's own answers, each pair in both orders.",
    subject: model.identity,
    finishedAt: new Date().toISOString(),
    settings: {
      judge: judge.identity,
      judge_method: options.judgeMethod,
      inference: options.inference,
      temperature: options.temperature,
      top_p: options.topP,
      seed: options.seed,
    },
    tables: [winRateTable(axes, options.confidence), judgeTable(axes)],
  };
}
