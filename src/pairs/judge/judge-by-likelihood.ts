import type { Message } from '../../data/pairs.js';
import type { ChatModel, LabelReply, LabelRequest, Outcome } from '../../llm/chat-model.js';
import type { Judge, Judgement, JudgeOptions, VerdictWords } from './judge.js';

export interface JudgeByLikelihoodOptions {
  /**
   * Prompts of which every verdict should be as likely; the mean log-likelihood of each label over them is subtracted
   * from those of a case, so that a label does not win because the model likes its words (contextual calibration, Zhao
   * et al. 2021). None for no calibration.
   */
  calibration: readonly (readonly Message[])[];
}

/**
 * A judge that takes the verdict whose label is the likeliest reply: for small models, which keep to no format. The
 * prompts of the calibration are asked once, before the first case.
 *
 * @throws ConfigError where the model can't score labels; LlmApiError where the calibration fails
 */
export function judgeByLikelihood<Verdict extends string>(
  model: ChatModel,
  words: VerdictWords<Verdict>,
  { calibration }: JudgeByLikelihoodOptions,
): Judge<Verdict> {
  const labels = words.verdicts.map((verdict) => words.words[verdict][0]);
  let prior: number[] | undefined;
  return {
    model,
    async judge(cases, options = {}) {
      if (calibration.length > 0) {
        prior ??= await meanLogprobs(
          model,
          calibration.map((messages, index) => ({ id: `calibration:${index}`, messages, labels })),
          options,
        );
      }
      const judgements: Judgement<Verdict>[] = [];
      const requests = cases.map(({ id, owner, messages }) => ({ id, owner, messages, labels }));
      for await (const outcome of score(model, requests, options)) {
        judgements[outcome.index] = judgementOf(outcome, words.verdicts, prior);
        options.onJudged?.();
      }
      return judgements;
    },
  };
}

function judgementOf<Verdict extends string>(
  { reply, error }: Outcome<LabelReply>,
  verdicts: readonly Verdict[],
  prior: readonly number[] | undefined,
): Judgement<Verdict> {
  if (reply === undefined) return { problem: error.message };
  const scores = reply.logprobs.map((logprob, index) => logprob - (prior?.[index] ?? 0));
  const logprobs = byVerdict(verdicts, reply.logprobs);
  if (!scores.every(Number.isFinite)) return { problem: 'the model gave no finite likelihood', logprobs };
  return {
    verdict: verdicts[scores.indexOf(Math.max(...scores))] as Verdict,
    logprobs,
    ...(prior === undefined ? {} : { prior: byVerdict(verdicts, prior) }),
  };
}

function byVerdict<Verdict extends string>(verdicts: readonly Verdict[], values: readonly number[]) {
  return Object.fromEntries(verdicts.map((verdict, index) => [verdict, values[index]])) as Record<
    Verdict,
    number
  >;
}

async function meanLogprobs(
  model: ChatModel,
  requests: readonly LabelRequest[],
  options: JudgeOptions,
): Promise<number[]> {
  const replies: LabelReply[] = [];
  for await (const { index, reply, error } of score(model, requests, options)) {
    if (reply === undefined) throw error;
    replies[index] = reply;
  }
  // Added up in the order of the requests: floating-point sums depend on it, and a run should repeat itself.
  return (requests[0]?.labels ?? []).map(
    (_, label) =>
      replies.reduce((sum, { logprobs }) => sum + (logprobs[label] as number), 0) / replies.length,
  );
}

function score(model: ChatModel, requests: readonly LabelRequest[], { signal }: JudgeOptions) {
  return model.scoreLabels(requests, signal === undefined ? {} : { signal });
}
