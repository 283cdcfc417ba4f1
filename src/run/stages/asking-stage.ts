/** What stages that ask a language model share: which one, and what it was asked meanwhile; and those that ask none. */

import { LlmApiError } from '../../errors.js';
import type { ChatModel, ChatUsage } from '../../llm/chat-model.js';
import type { AskingStage } from '../config/sections.js';
import { type AskedEstimate, measuredRate } from '../estimate.js';
import type { Dependencies } from '../manifest.js';
import type { KnownFacts, RunStage, StageResult, StageWork } from '../stage.js';
import type { StageName } from '../stage-names.js';
import type { StageSetup } from './setup.js';

interface Parts extends Pick<RunStage, 'version' | 'templates' | 'inputs'> {
  options: object;
}
type Result = Promise<Pick<StageResult, 'outputs' | 'counts' | 'facts'>>;

export interface AskingStageParts extends Parts {
  name: AskingStage;
  /** What it will ask at most; null: not known yet. */
  estimate(facts: KnownFacts): AskedEstimate | null;
  run(work: StageWork, model: ChatModel): Result;
}

export interface QuietStageParts extends Parts {
  name: StageName;
  run(work: StageWork): Result;
}

/** A stage that asks no model. */
export function quietStage({ run, options, ...parts }: QuietStageParts): RunStage {
  return {
    ...parts,
    options: plain(options),
    model: null,
    resumes: false,
    estimate: () => undefined,
    run: async (work) => ({ ...(await run(work)), modelIdentity: null, usage: null }),
  };
}

export function askingStage(
  { models, folder }: StageSetup,
  { run, options, estimate, ...parts }: AskingStageParts,
): RunStage {
  return {
    ...parts,
    options: plain(options),
    // Asked for each time: of a model from the Hub more is known once it was fetched.
    get model() {
      return models.describe(parts.name);
    },
    resumes: false,
    estimate(facts) {
      const asked = estimate(facts);
      if (asked === null) return null;
      const description = models.describe(parts.name);
      const rate = description === null ? null : measuredRate(folder, description);
      const seconds = rate === null ? null : (asked.promptTokens + asked.completionTokens) / rate;
      return { ...asked, seconds, cost: models.costOf(parts.name, asked) };
    },
    async run(work) {
      try {
        const model = await models.open(parts.name, work);
        const before = model.usage();
        const result = await run(work, model);
        return { ...result, modelIdentity: model.identity, usage: difference(model.usage(), before) };
      } catch (error) {
        throw withAdvice(error);
      }
    },
  };
}

/** Options as the manifest keeps them. */
export function plain(options: object): Dependencies['options'] {
  return JSON.parse(JSON.stringify(options)) as Dependencies['options'];
}

/** What to do about a model that did not answer: no reply is lost. */
function withAdvice(error: unknown): unknown {
  if (!(error instanceof LlmApiError)) return error;
  const { message, status, retryable, body, details } = error;
  return new LlmApiError(
    `${message} What is done stays done, and every reply is kept: once this is mended, run the same again.`,
    {
      retryable,
      details,
      cause: error,
      ...(status === undefined ? {} : { status }),
      ...(body === undefined ? {} : { body }),
    },
  );
}

function difference(after: ChatUsage, before: ChatUsage): ChatUsage {
  return {
    requests: after.requests - before.requests,
    cached: after.cached - before.cached,
    failed: after.failed - before.failed,
    promptTokens: after.promptTokens - before.promptTokens,
    completionTokens: after.completionTokens - before.completionTokens,
    cost: after.cost === null ? null : after.cost - (before.cost ?? 0),
  };
}
