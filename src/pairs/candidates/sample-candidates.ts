/** N answers of the policy to each prompt (Equation 2), of which the best and the worst become a pair. */
import { createPersonaTemplate, type PersonaTemplate, withPersona } from '../../data/persona-prompt.js';
import type { Dropped, Tally } from '../../data/tally.js';
import type { ChatModel } from '../../llm/chat-model.js';
import { type Answered, askInOrder, type Question } from '../ask-in-order.js';
import { checkOptions } from '../check-options.js';
import { MIN_REPLY_TOKENS, replyRoom } from '../reply-room.js';
import { isEmptyReply, replyText } from '../reply-text.js';
import type { Candidate, CandidatesRow, PromptRow } from '../rows.js';
import type { StageContext } from '../stage.js';
import { writingSampling } from '../writing-options.js';
import { candidateId, drawSeed } from './ids.js';
import { type CandidateOptions, candidateOptionsSchema, type ResolvedCandidateOptions } from './options.js';

export interface CandidateSettings extends CandidateOptions {
  /** Who answers: the policy. */
  model: ChatModel;
  /** How the persona is put into words. Default: ours, see `DEFAULT_PERSONA_TEMPLATE`. */
  personaTemplate?: PersonaTemplate;
  /** How many prompts come, to tell progress by. Default: not known. */
  promptCount?: number;
}

/**
 * The different answers of the model to each prompt, in the order of the prompts. All draws of a prompt are asked for
 * one after another, each with a seed of its own, so that a model that works in batches computes their prompt once; and
 * with a reply cache a run that was killed asks for no draw twice.
 *
 * Books: prompts (dropped as `context-full` and `too-few-candidates`, fewer than two different ones) in `context`, and
 * candidates in `candidates`: dropped as `request-failed`, `withheld-answer`, `cut-answer`, `empty-answer`, `duplicate`
 * (the same up to white space), and `prompt-dropped`.
 *
 * @throws ConfigError for options that cannot be used, and whatever `model` throws
 */
export async function* sampleCandidates(
  prompts: Iterable<PromptRow> | AsyncIterable<PromptRow>,
  { model, personaTemplate = createPersonaTemplate(), promptCount = 0, ...input }: CandidateSettings,
  { tally, signal, onProgress }: StageContext,
  candidates: Tally,
): AsyncGenerator<CandidatesRow> {
  const options = checkOptions(candidateOptionsSchema, input, 'candidates');
  const { samples } = options;

  async function* questions(): AsyncGenerator<Question<Draw>> {
    for await (const prompt of prompts) {
      tally.enter();
      const draws = drawsOf(prompt, { model, personaTemplate, options });
      if ('reason' in draws) tally.drop({ ...draws, user: prompt.user });
      else {
        candidates.enter(samples);
        if (options.persona && prompt.persona === undefined) tally.note('no-persona');
        yield* draws;
      }
    }
  }

  let answers: Answered<Draw>[] = [];
  let done = 0;
  for await (const answered of askInOrder(model, questions(), signal === undefined ? {} : { signal })) {
    answers.push(answered);
    onProgress?.({ done: ++done, total: promptCount * samples });
    if (answers.length < samples) continue;
    const row = rowOf(answers, model, options, candidates);
    answers = [];
    if ('reason' in row) {
      tally.drop(row);
      continue;
    }
    tally.leave();
    candidates.leave(row.candidates.length);
    yield row;
  }
}

/** One of the requests for a prompt. */
interface Draw {
  prompt: PromptRow;
  draw: number;
}

interface Asker {
  model: ChatModel;
  personaTemplate: PersonaTemplate;
  options: ResolvedCandidateOptions;
}

function drawsOf(prompt: PromptRow, { model, personaTemplate, options }: Asker): Question<Draw>[] | Dropped {
  const persona = options.persona ? prompt.persona : undefined;
  const messages = withPersona(prompt.prompt, persona, personaTemplate);
  const room = replyRoom(model, messages);
  const sampling = writingSampling(options, Math.max(room, 1));
  const needed = Math.min(MIN_REPLY_TOKENS, options.maxTokens);
  if (sampling.maxTokens < needed) {
    const detail = `${Math.max(room, 0)} of ${model.contextTokens} tokens would be left, ${needed} are needed`;
    return { id: prompt.id, reason: 'context-full', detail };
  }
  return Array.from({ length: options.samples }, (_, draw) => ({
    subject: { prompt, draw },
    request: {
      id: candidateId(prompt.id, draw),
      messages,
      sampling: { ...sampling, seed: drawSeed(options.seed, prompt.id, draw) },
      owner: prompt.user,
    },
  }));
}

function rowOf(
  answers: readonly Answered<Draw>[],
  { identity }: ChatModel,
  options: ResolvedCandidateOptions,
  tally: Tally,
): CandidatesRow | Dropped {
  const [{ subject, request }] = answers as [Answered<Draw>];
  const { prompt } = subject;
  const found = new Map<string, Candidate>();
  for (const answered of answers) {
    const { draw } = answered.subject;
    const drop = (reason: string, detail?: string) =>
      tally.drop({
        ...{ id: candidateId(prompt.id, draw), reason, user: prompt.user },
        ...(detail === undefined ? {} : { detail }),
      });
    const candidate = candidateOf(answered, options);
    if ('reason' in candidate) {
      drop(candidate.reason, candidate.detail);
      continue;
    }
    const key = candidate.text.replace(/\s+/g, ' ');
    const known = found.get(key);
    if (known === undefined) found.set(key, candidate);
    else {
      drop('duplicate', `draw ${known.draws[0]} gave the same`);
      known.draws.push(draw);
    }
  }
  const candidates = [...found.values()];
  if (candidates.length >= 2) {
    return { ...prompt, candidates, model: identity, request: [...request.messages] };
  }
  for (const { draws } of candidates) {
    const id = candidateId(prompt.id, draws[0] as number);
    tally.drop({ id, reason: 'prompt-dropped', user: prompt.user });
  }
  const detail = `${candidates.length} different of ${answers.length}`;
  return { id: prompt.id, reason: 'too-few-candidates', detail, user: prompt.user };
}

/** Characters of an empty reply that are shown. */
const MAX_SHOWN = 80;

function candidateOf(
  { subject: { draw }, reply, error }: Answered<Draw>,
  { cutAnswers }: ResolvedCandidateOptions,
): Candidate | { reason: string; detail?: string } {
  if (error !== undefined) return { reason: 'request-failed', detail: error.message };
  const { text, finishReason, completionTokens } = reply;
  if (finishReason === 'filtered') return { reason: 'withheld-answer' };
  if (finishReason === 'length' && cutAnswers === 'drop') {
    return { reason: 'cut-answer', detail: `it did not end within ${completionTokens} tokens` };
  }
  const answer = replyText(text);
  if (isEmptyReply(answer))
    return { reason: 'empty-answer', detail: JSON.stringify(text.slice(0, MAX_SHOWN)) };
  return { text: answer, draws: [draw], finishReason };
}
