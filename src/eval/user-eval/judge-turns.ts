/** Verdicts on answers, each asked for with either answer first. */
import type { ChatModel } from '../../llm/chat-model.js';
import type { Case, Judge, Judgement, VerdictWords } from '../../pairs/judge/judge.js';
import { judgeByLikelihood } from '../../pairs/judge/judge-by-likelihood.js';
import { judgeByReply } from '../../pairs/judge/judge-by-reply.js';
import type { StageContext } from '../../pairs/stage.js';
import { windows } from '../../pairs/windows.js';
import type { AnsweredTurn } from './answer-turns.js';
import type { JudgeTemplates } from './judge-templates.js';
import { type Axis, PERSONA_AXES, type ResolvedUserEvalOptions } from './options.js';

/** Which answer stood first. */
export const ORDERS = ['answer-first', 'original-first'] as const;
export type Order = (typeof ORDERS)[number];

export type Winner = 'answer' | 'original' | 'tie';

/** One verdict, or why there is none. */
export interface TurnJudgment {
  /** Of the turn. */
  id: string;
  user: string;
  kind: AnsweredTurn['kind'];
  axis: Axis;
  order: Order;
  winner?: Winner;
  problem?: string;
  /** What the judge said, where it was asked in words. */
  reply?: string;
  /** log p of each verdict, nats, where it was asked by likelihood. */
  logprobs?: Record<string, number>;
}

export interface JudgeSettings
  extends Pick<ResolvedUserEvalOptions, 'axes' | 'judgeMethod' | 'judgeMaxTokens'> {
  templates: JudgeTemplates;
  /** What the judge knows of each user. */
  personas: ReadonlyMap<string, string>;
}

type Verdict = 'first' | 'second' | 'tie';

const IN_WORDS: VerdictWords<Verdict> = {
  verdicts: ['first', 'second', 'tie'],
  words: { first: ['A', 'answer A'], second: ['B', 'answer B'], tie: ['tie', 'C', 'draw', 'neither'] },
};

/** By likelihood nothing can be a tie. */
const BY_LIKELIHOOD: VerdictWords<Exclude<Verdict, 'tie'>> = {
  verdicts: ['first', 'second'],
  words: { first: ['A'], second: ['B'] },
};

/** Verdicts that are asked for together; a second time is asked once all of them have been asked for once. */
const CASES_AT_ONCE = 500;

interface Asked {
  turn: AnsweredTurn;
  axis: Axis;
  order: Order;
  case: Case;
}

/**
 * Verdicts on each answer against the log's own, on every axis and in both orders; by turn, axis and order. A verdict
 * that cannot be read is asked for once more, and then there is none, with the reason.
 *
 * Books: verdicts. Dropped: `no-persona` (the axis needs one and the user has none), `no-verdict`.
 */
export async function judgeTurns(
  turns: readonly AnsweredTurn[],
  model: ChatModel,
  settings: JudgeSettings,
  context: StageContext,
): Promise<TurnJudgment[]> {
  const { tally, signal, onProgress } = context;
  const judge = createJudge(model, settings);
  const asked = turns.flatMap((turn) => casesOf(turn, settings, context));
  const judgments: TurnJudgment[] = [];
  let done = 0;
  for await (const group of windows(asked, CASES_AT_ONCE)) {
    const found = await judge(
      group,
      () => onProgress?.({ done: ++done, total: asked.length, text: `${done}/${asked.length} verdicts` }),
      signal,
    );
    for (const [index, each] of group.entries()) {
      const judgment = judgmentOf(each, found[index] as Judgement<Verdict>);
      if (judgment.winner === undefined) {
        const detail = judgment.problem ?? '';
        tally.drop({ id: each.case.id, user: each.turn.user, reason: 'no-verdict', detail });
      } else tally.leave();
      judgments.push(judgment);
    }
  }
  return judgments;
}

function casesOf(
  turn: AnsweredTurn,
  { axes, templates, personas }: JudgeSettings,
  { tally }: StageContext,
): Asked[] {
  const persona = personas.get(turn.user);
  return axes.flatMap((axis) => {
    tally.enter(ORDERS.length);
    if (persona === undefined && PERSONA_AXES.includes(axis)) {
      tally.addDropped('no-persona', ORDERS.length);
      return [];
    }
    return ORDERS.map((order) => ({
      ...{ turn, axis, order },
      case: {
        id: `${turn.id}:${axis}:${order}`,
        owner: turn.user,
        messages: templates[axis].render({
          conversation: turn.prompt,
          persona: persona ?? '',
          first: order === 'answer-first' ? turn.answer : turn.original,
          second: order === 'answer-first' ? turn.original : turn.answer,
        }),
      },
    }));
  });
}

type AskJudge = (
  asked: readonly Asked[],
  onJudged: () => void,
  signal: AbortSignal | undefined,
) => Promise<Judgement<Verdict>[]>;

/** The judge of the configured method; by likelihood one for each axis, calibrated on two answers that are the same. */
function createJudge(model: ChatModel, settings: JudgeSettings): AskJudge {
  const { judgeMethod, judgeMaxTokens, templates } = settings;
  if (judgeMethod === 'generate') {
    const judge = judgeByReply(model, IN_WORDS, { maxTokens: judgeMaxTokens });
    return (asked, onJudged, signal) => judge.judge(casesIn(asked), judgeOptions(onJudged, signal));
  }
  const byAxis = new Map<Axis, Judge<Exclude<Verdict, 'tie'>>>();
  const judgeOf = (axis: Axis) => {
    const known = byAxis.get(axis);
    if (known !== undefined) return known;
    const calibration = CALIBRATION_ANSWERS.map((answer) =>
      templates[axis].render({
        conversation: [{ role: 'user', content: 'Hello' }],
        persona: '- Nothing is known.',
        first: answer,
        second: answer,
      }),
    );
    const judge = judgeByLikelihood(model, BY_LIKELIHOOD, { calibration });
    byAxis.set(axis, judge);
    return judge;
  };
  return async (asked, onJudged, signal) => {
    const found = new Map<Asked, Judgement<Verdict>>();
    for (const axis of settings.axes) {
      const own = asked.filter((each) => each.axis === axis);
      if (own.length === 0) continue;
      const judgements = await judgeOf(axis).judge(casesIn(own), judgeOptions(onJudged, signal));
      own.forEach((each, index) => {
        found.set(each, judgements[index] as Judgement<Verdict>);
      });
    }
    return asked.map((each) => found.get(each) as Judgement<Verdict>);
  };
}

/** Answers that are shown as both: what a judge prefers then is the place. */
const CALIBRATION_ANSWERS = ['Hello! How can I help?', '...', 'I see. Tell me more about it.'];

function casesIn(asked: readonly Asked[]): Case[] {
  return asked.map((each) => each.case);
}

function judgeOptions(onJudged: () => void, signal: AbortSignal | undefined) {
  return { onJudged, ...(signal === undefined ? {} : { signal }) };
}

function judgmentOf({ turn, axis, order }: Asked, found: Judgement<Verdict>): TurnJudgment {
  const { verdict, problem, reply, logprobs } = found;
  return {
    ...{ id: turn.id, user: turn.user, kind: turn.kind, axis, order },
    ...(verdict === undefined ? {} : { winner: winnerOf(verdict, order) }),
    ...(problem === undefined ? {} : { problem }),
    ...(reply === undefined ? {} : { reply }),
    ...(logprobs === undefined ? {} : { logprobs }),
  };
}

function winnerOf(verdict: Verdict, order: Order): Winner {
  if (verdict === 'tie') return 'tie';
  return (verdict === 'first') === (order === 'answer-first') ? 'answer' : 'original';
}
