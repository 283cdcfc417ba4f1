/** The evaluated model's answers, in the light of the log's own conversation (section 3.4). */
import { createPersonaTemplate, type PersonaTemplate, withPersona } from '../../data/persona-prompt.js';
import type { Tally } from '../../data/tally.js';
import type { ChatModel, ChatRequest } from '../../llm/chat-model.js';
import { askInOrder } from '../../pairs/ask-in-order.js';
import type { StageContext } from '../../pairs/stage.js';
import type { ResolvedUserEvalOptions } from './options.js';
import type { EvaluationTurn } from './turns.js';

/** A turn with the answer of the model that is evaluated. */
export interface AnsweredTurn extends EvaluationTurn {
  answer: string;
  /** `length`: cut at `maxTokens`, or at the end of the context. */
  finishReason: 'stop' | 'length' | 'filtered';
  /** What the model was told of the user; absent without. */
  guidedBy?: string;
}

export interface AnswerSettings
  extends Pick<ResolvedUserEvalOptions, 'temperature' | 'topP' | 'maxTokens' | 'seed'> {
  /** Personas that the model sees, by user. Default: none. */
  personas?: ReadonlyMap<string, string>;
  /** Puts a persona into words. */
  personaTemplate?: PersonaTemplate;
}

/**
 * The model's answer at each turn, in the order of the turns.
 *
 * Books: turns. Dropped: `answer-failed` (too long for the model, or refused by its server), `empty-answer`.
 */
export async function answerTurns(
  turns: readonly EvaluationTurn[],
  model: ChatModel,
  settings: AnswerSettings,
  { tally, signal, onProgress }: StageContext,
): Promise<AnsweredTurn[]> {
  const {
    personas,
    personaTemplate = createPersonaTemplate(),
    temperature,
    topP,
    maxTokens,
    seed,
  } = settings;
  const questions = turns.map((turn) => {
    const persona = personas?.get(turn.user);
    const request: ChatRequest = {
      id: turn.id,
      owner: turn.user,
      messages: withPersona(turn.prompt, persona, personaTemplate),
      sampling: { temperature, topP, maxTokens, seed },
    };
    return { subject: { turn, persona }, request };
  });
  const answered: AnsweredTurn[] = [];
  tally.enter(turns.length);
  let done = 0;
  for await (const outcome of askInOrder(model, questions, signal === undefined ? {} : { signal })) {
    const { subject, reply, error } = outcome;
    onProgress?.({ done: ++done, total: turns.length, text: `${done}/${turns.length} answers` });
    if (error !== undefined) drop(tally, subject.turn, 'answer-failed', error.message);
    else if (reply.text.trim() === '') drop(tally, subject.turn, 'empty-answer', 'the model said nothing');
    else {
      tally.leave();
      answered.push({
        ...subject.turn,
        answer: reply.text,
        finishReason: reply.finishReason,
        ...(subject.persona === undefined ? {} : { guidedBy: subject.persona }),
      });
    }
  }
  return answered;
}

function drop(tally: Tally, { id, user }: EvaluationTurn, reason: string, detail: string): void {
  tally.drop({ id, user, reason, detail });
}
