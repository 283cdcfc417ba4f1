import { type AskedTokens, CHARACTERS_PER_TOKEN } from '../estimate.js';
import type { ResolvedUserEvalOptions } from './options.js';
import { PERSONA_AXES } from './options.js';
import type { EvaluationUser } from './turns.js';

/** What will be asked, at most, but for verdicts that have to be asked for again. */
export interface UserEvalEstimate {
  users: number;
  turns: number;
  model: AskedTokens;
  judge: AskedTokens;
}

/** Tokens of a prompt beside the texts: instructions, persona. */
const PROMPT_TOKENS = 250;
/** A persona of five points. */
const PERSONA_TOKENS = 150;
/** Tokens of a history that a request for a persona shows, at most. */
const HISTORY_TOKENS = 4000;

/** Tokens by length alone: no model is opened for it. */
export function estimateUserEval(
  users: readonly EvaluationUser[],
  options: ResolvedUserEvalOptions,
): UserEvalEstimate {
  const turns = users.flatMap((user) => user.turns);
  const prompts = turns.map(({ prompt }) => tokensOf(prompt.map(({ content }) => content)));
  const answers = turns.map(({ original }) => Math.min(tokensOf([original]), options.maxTokens));
  const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
  const persona = personaRequests(users);
  const verdicts = 2 * options.axes.length;
  const judgeInfers = options.axes.some((axis) => PERSONA_AXES.includes(axis));
  const modelInfers = options.inference === 'persona-guided';
  return {
    users: users.length,
    turns: turns.length,
    model: sum(
      {
        requests: turns.length,
        promptTokens: total(prompts) + (modelInfers ? turns.length * PERSONA_TOKENS : 0),
        completionTokens: total(answers),
      },
      modelInfers ? persona : NOTHING,
    ),
    judge: sum(
      {
        requests: verdicts * turns.length,
        promptTokens: verdicts * (total(prompts) + 2 * total(answers) + turns.length * PROMPT_TOKENS),
        completionTokens: verdicts * turns.length * options.judgeMaxTokens,
      },
      judgeInfers ? persona : NOTHING,
    ),
  };
}

const NOTHING: AskedTokens = { requests: 0, promptTokens: 0, completionTokens: 0 };

function personaRequests(users: readonly EvaluationUser[]): AskedTokens {
  const shown = users.map(({ history }) =>
    Math.min(
      HISTORY_TOKENS,
      tokensOf(
        history.flatMap(({ turns }) =>
          turns.flatMap(({ role, content }) => (role === 'user' ? [content] : [])),
        ),
      ),
    ),
  );
  return {
    requests: users.length,
    promptTokens: shown.reduce((total, tokens) => total + tokens + PROMPT_TOKENS, 0),
    completionTokens: users.length * PERSONA_TOKENS,
  };
}

function tokensOf(texts: readonly string[]): number {
  return Math.ceil(texts.reduce((length, text) => length + text.length, 0) / CHARACTERS_PER_TOKEN);
}

function sum(one: AskedTokens, other: AskedTokens): AskedTokens {
  return {
    requests: one.requests + other.requests,
    promptTokens: one.promptTokens + other.promptTokens,
    completionTokens: one.completionTokens + other.completionTokens,
  };
}
