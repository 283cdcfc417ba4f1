/** The weighted judge of AlpacaEval 2: which of two outputs is better, as a probability. */
import { createRandom } from '../../data/random.js';
import type { ChatModel, LabelReply, LabelRequest } from '../../llm/chat-model.js';
import type { StageProgress } from '../../pairs/stage.js';
import { type AlpacaTemplate, createAlpacaTemplate, OUTPUT_LABELS } from './prompts.js';

/** An instruction with both answers. */
export interface OutputPair {
  instruction: string;
  baseline: string;
  /** Undefined where the model gave none. */
  model: string | undefined;
}

/** The probability that the model's output is better, or why there is none. */
export type OutputVerdict = { share: number; problem?: undefined } | { share: null; problem: string };

export interface JudgeOutputsOptions {
  template?: AlpacaTemplate;
  /** Of the order in which the two outputs are shown. Default 0. */
  seed?: number;
  signal?: AbortSignal;
  onProgress?: (progress: StageProgress) => void;
}

/** What is added where the judge's reply begins with neither label. */
const REMINDER = `Reply with ${OUTPUT_LABELS[0]} or ${OUTPUT_LABELS[1]} as the first and only character.`;

/**
 * Asks for the log-likelihoods of both labels as the judge's reply: `share = p(model's) / (p(m) + p(M))`. Which output is
 * shown first is drawn for each instruction. Where the judge gives neither label a likelihood, it is asked once more
 * with a reminder; then the instruction stays without a verdict.
 *
 * @returns verdicts in the order of the pairs
 * @throws ConfigError where the judge can't score labels
 */
export async function judgeOutputs(
  pairs: readonly OutputPair[],
  judge: ChatModel,
  { template = createAlpacaTemplate(), seed = 0, signal, onProgress }: JudgeOutputsOptions = {},
): Promise<OutputVerdict[]> {
  const verdicts: OutputVerdict[] = pairs.map(() => ({ share: null, problem: 'the model gave no answer' }));
  let open = pairs.flatMap(({ model }, index) => (model === undefined ? [] : [index]));
  let done = pairs.length - open.length;
  for (const isAgain of [false, true]) {
    const asked = open;
    open = [];
    const requests = asked.map((index) => labelRequest(pairs, index, template, seed, isAgain));
    for await (const outcome of judge.scoreLabels(requests, signal === undefined ? {} : { signal })) {
      const index = asked[outcome.index] as number;
      const verdict: OutputVerdict =
        outcome.error === undefined
          ? verdictOf(outcome.reply, isModelFirst(seed, index))
          : { share: null, problem: outcome.error.message };
      verdicts[index] = verdict;
      if (verdict.share === null && !isAgain) open.push(index);
      else onProgress?.({ done: ++done, total: pairs.length });
    }
    // Outcomes come in any order; the second round is asked in that of the pairs.
    open.sort((a, b) => a - b);
  }
  return verdicts;
}

/** The requests of the first round, for an estimate. */
export function outputRequests(
  pairs: readonly OutputPair[],
  { template = createAlpacaTemplate(), seed = 0 }: JudgeOutputsOptions = {},
): LabelRequest[] {
  return pairs.map((_, index) => labelRequest(pairs, index, template, seed, false));
}

function labelRequest(
  pairs: readonly OutputPair[],
  index: number,
  template: AlpacaTemplate,
  seed: number,
  isAgain: boolean,
): LabelRequest {
  const { instruction, baseline, model = '' } = pairs[index] as OutputPair;
  const [first, second] = isModelFirst(seed, index) ? [model, baseline] : [baseline, model];
  const messages = template.render(instruction, first, second);
  const last = messages.at(-1);
  const reminded =
    isAgain && last !== undefined
      ? [...messages.slice(0, -1), { ...last, content: `${last.content}\n\n${REMINDER}` }]
      : messages;
  return { id: `alpaca-eval:${index}`, messages: reminded, labels: OUTPUT_LABELS };
}

function isModelFirst(seed: number, index: number): boolean {
  return createRandom(seed, index).int(2) === 1;
}

function verdictOf({ logprobs }: LabelReply, modelIsFirst: boolean): OutputVerdict {
  const [first = Number.NEGATIVE_INFINITY, second = Number.NEGATIVE_INFINITY] = logprobs;
  const [model, baseline] = modelIsFirst ? [first, second] : [second, first];
  const share = 1 / (1 + Math.exp(baseline - model));
  return Number.isNaN(share)
    ? { share: null, problem: 'the judge gave neither label a likelihood' }
    : { share };
}
