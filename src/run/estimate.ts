/**
 * What the stages will ask of a model, from figures of the conversations as they are. All of it is rough: tokens are
 * counted as characters, and how long replies are is a guess until the model has replied.
 */

import type { SectionOptions, Sections } from './config/sections.js';
import type { RunFolder } from './run-folder.js';
import type { KnownFacts, StageEstimate } from './stage.js';
import { STAGE_NAMES } from './stage-names.js';
import type { ConversationFacts } from './stages/conversation-facts.js';
import { isSameModel } from './weights-mark.js';

/** English text in the tokenizers of today's models. */
const CHARACTERS_PER_TOKEN = 4;
/** Re-attempts with feedback among follow-ups in WildChat (section 2.2: 26.51 of 72.93 %). */
const FEEDBACK_SHARE = 0.2651 / 0.7293;
/** Of a verdict in words, and of a persona of five points. */
const VERDICT_TOKENS = 10;
const PERSONA_TOKENS = 120;
/** Of an answer, where there are no conversations to see it by. */
const UNKNOWN_ANSWER_TOKENS = 300;

/** Requests and tokens, before time and cost are known. */
export type AskedEstimate = Pick<StageEstimate, 'requests' | 'promptTokens' | 'completionTokens'>;

const tokens = (characters: number) => characters / CHARACTERS_PER_TOKEN;

/** Figures of the conversations that later stages work on. */
function conversationsOf({ conversations, reconstruct }: KnownFacts): ConversationFacts | undefined {
  return (reconstruct ?? conversations) as ConversationFacts | undefined;
}

export function reconstructEstimate(
  { conversations }: KnownFacts,
  { maxTokens }: Pick<SectionOptions<'reconstruct'>, 'maxTokens'>,
): AskedEstimate | null {
  const facts = conversations as ConversationFacts | undefined;
  if (facts === undefined) return null;
  const requests = facts.userMessages;
  return rounded({
    requests,
    promptTokens: requests * contextTokens(facts),
    completionTokens: requests * Math.min(maxTokens, answerTokens(facts)),
  });
}

export function classifyEstimate(
  known: KnownFacts,
  { method, maxMessageTokens }: Pick<SectionOptions<'classify'>, 'method' | 'maxMessageTokens'>,
  template: string,
): AskedEstimate | null {
  const facts = conversationsOf(known);
  if (facts === undefined) return null;
  const requests = facts.userMessages - facts.conversations;
  const message = Math.min(maxMessageTokens, tokens(ratio(facts.userCharacters, facts.userMessages)));
  return rounded({
    requests,
    promptTokens: requests * (tokens(template.length) + 2 * message),
    completionTokens: method === 'generate' ? requests * VERDICT_TOKENS : 0,
  });
}

export function usersEstimate(
  known: KnownFacts,
  { method, maxFollowUpTokens }: Pick<SectionOptions<'users'>, 'method' | 'maxFollowUpTokens'>,
  template: string,
): AskedEstimate | null {
  const facts = conversationsOf(known);
  if (facts === undefined) return null;
  const shown = Math.min(maxFollowUpTokens, tokens(ratio(facts.userCharacters, facts.users)));
  return rounded({
    requests: facts.users,
    promptTokens: facts.users * (tokens(template.length) + shown),
    completionTokens: method === 'generate' ? facts.users * VERDICT_TOKENS : 0,
  });
}

export function personasEstimate(
  known: KnownFacts,
  { maxHistoryTokens }: Pick<SectionOptions<'personas'>, 'maxHistoryTokens'>,
  template: string,
): AskedEstimate | null {
  const facts = conversationsOf(known);
  const users = known.users?.users ?? facts?.users;
  if (facts === undefined || users === undefined) return null;
  const shown = Math.min(maxHistoryTokens, tokens(ratio(facts.userCharacters, facts.users)));
  return rounded({
    requests: users,
    promptTokens: users * (tokens(template.length) + shown),
    completionTokens: users * PERSONA_TOKENS,
  });
}

export function rewriteEstimate(
  known: KnownFacts,
  { maxTokens, source }: Pick<SectionOptions<'rewrite'>, 'maxTokens' | 'source'>,
  template: string,
): AskedEstimate | null {
  const facts = conversationsOf(known);
  const math = known.math?.conversations ?? 0;
  if (facts === undefined && math === 0) return null;
  const followUps = facts === undefined ? 0 : facts.userMessages - facts.conversations;
  const sentBack = source === 'logged' ? 0 : (known.classify?.feedback ?? followUps * FEEDBACK_SHARE);
  const requests = sentBack + math;
  const answer = facts === undefined ? tokens(known.math?.answerCharacters ?? 0) / math : answerTokens(facts);
  const context = facts === undefined ? 2 * answer : contextTokens(facts);
  const shown = source === 'scratch' ? 0 : answer + tokens(template.length);
  return rounded({
    requests,
    promptTokens: requests * (context + shown),
    completionTokens: requests * Math.min(maxTokens, answer),
  });
}

export function candidatesEstimate(
  known: KnownFacts,
  { samples, maxTokens }: Pick<SectionOptions<'candidates'>, 'samples' | 'maxTokens'>,
  prompts: Sections['prompts'],
): AskedEstimate | null {
  const expected = expectedPrompts(known, prompts);
  if (expected === null) return null;
  const requests = expected.count * samples;
  return rounded({
    requests,
    promptTokens: requests * expected.tokens,
    completionTokens: requests * Math.min(maxTokens, expected.answer),
  });
}

export function rankEstimate(
  known: KnownFacts,
  { compare }: Pick<SectionOptions<'rank'>, 'compare'>,
  { prompts, candidates }: Pick<Sections, 'prompts' | 'candidates'>,
): AskedEstimate | null {
  const expected = expectedPrompts(known, prompts);
  if (expected === null) return null;
  const sampled = known.candidates;
  const count = sampled?.prompts ?? expected.count;
  const answers =
    sampled === undefined
      ? count * (candidates?.samples ?? 0) * Math.min(candidates?.maxTokens ?? Infinity, expected.answer)
      : tokens(sampled.characters ?? 0);
  const kinds = compare ? 2 : 1;
  // Candidates of one prompt share it.
  return rounded({
    requests: kinds * count,
    promptTokens: kinds * (count * expected.tokens + answers),
    completionTokens: 0,
  });
}

/** Rewrites and their originals are scored. */
export function pairsEstimate(known: KnownFacts): AskedEstimate | null {
  const facts = conversationsOf(known);
  const requests = known.rewrite?.rewrites;
  if (facts === undefined || requests === undefined) return null;
  const promptTokens = requests * (contextTokens(facts) + 2 * answerTokens(facts));
  return rounded({ requests, promptTokens, completionTokens: 0 });
}

/** How many prompts there will be, with the tokens of one and of an answer; as chosen where they are. */
function expectedPrompts(
  known: KnownFacts,
  options: Sections['prompts'],
): { count: number; tokens: number; answer: number } | null {
  const facts = conversationsOf(known);
  const chosen = known.prompts;
  if (chosen === undefined && facts === undefined) return null;
  const answer = facts === undefined ? UNKNOWN_ANSWER_TOKENS : answerTokens(facts);
  if (chosen !== undefined) {
    const { prompts: count = 0, characters = 0 } = chosen;
    return { count, tokens: tokens(ratio(characters, count)), answer };
  }
  const { conversations, userMessages, userCharacters, users } = facts as ConversationFacts;
  const kind = options?.prompts ?? 'initial';
  const first = kind === 'follow-ups' ? 0 : conversations;
  const messages = first + (kind === 'initial' ? 0 : userMessages - conversations);
  const most = Math.min(
    options?.size ?? Infinity,
    (options?.perUser ?? Infinity) * (known.users?.users ?? users),
  );
  const context =
    kind === 'initial'
      ? tokens(ratio(userCharacters, userMessages))
      : contextTokens(facts as ConversationFacts);
  return { count: Math.min(messages, most), tokens: context + PERSONA_TOKENS, answer };
}

/** Tokens before an answer, on average: half of a conversation. */
function contextTokens({ conversations, userCharacters, answerCharacters }: ConversationFacts): number {
  return tokens(ratio(userCharacters + answerCharacters, conversations)) / 2;
}

function answerTokens({ answers, answerCharacters }: ConversationFacts): number {
  return tokens(ratio(answerCharacters, answers));
}

function ratio(sum: number, count: number): number {
  return count === 0 ? 0 : sum / count;
}

function rounded({ requests, promptTokens, completionTokens }: AskedEstimate): AskedEstimate {
  return {
    requests: Math.round(requests),
    promptTokens: Math.round(promptTokens),
    completionTokens: Math.round(completionTokens),
  };
}

/**
 * Tokens a second, prompts and replies together, that a model was measured at in the run's stages that are done; null
 * where it was not asked so far.
 */
export function measuredRate(folder: RunFolder, model: string): number | null {
  let sum = 0;
  let seconds = 0;
  for (const name of STAGE_NAMES) {
    const manifest = folder.manifest(name);
    if (manifest === undefined || manifest.usage === null) continue;
    if (!isSameModel(manifest.dependencies.model, model)) continue;
    // Where most came from the cache, the time says nothing of the model.
    if (manifest.usage.requests <= manifest.usage.cached) continue;
    sum += manifest.usage.promptTokens + manifest.usage.completionTokens;
    seconds += manifest.seconds;
  }
  return sum > 0 && seconds > 0 ? sum / seconds : null;
}
