/** The games of Arena-Hard: each question is judged twice, with the answers exchanged. */
import type { ChatModel, ChatRequest } from '../../llm/chat-model.js';
import { askTwice, type Finding } from '../../pairs/ask-twice.js';
import type { StageProgress } from '../../pairs/stage.js';
import { type ArenaTemplate, createArenaTemplate } from './prompts.js';
import { ARENA_VERDICTS, type ArenaVerdict, readArenaVerdict } from './verdict.js';

export interface ArenaPair {
  id: string;
  question: string;
  baseline: string;
  /** Undefined where the model gave none. */
  model: string | undefined;
}

/** One game as it goes into the file of judgments. */
export interface ArenaGame {
  user_prompt: string;
  judgment: string;
  score: ArenaVerdict | null;
  /** Why there is no score. */
  problem?: string;
}

export interface JudgeGamesOptions {
  template?: ArenaTemplate;
  /** Most tokens of a judgment. Default 4096. */
  maxTokens?: number;
  signal?: AbortSignal;
  onProgress?: (progress: StageProgress) => void;
}

/** What a judgment without a verdict is answered with. */
const REMINDER = `Close your judgment now with exactly one verdict: ${ARENA_VERDICTS.map((verdict) => `[[${verdict}]]`).join(', ')}.`;
/** Of a judgment without a verdict, the second request repeats the end: what the judge was about to conclude. */
const REPEATED_CHARACTERS = 4000;

interface Game {
  pair: ArenaPair;
  /** 0 with the baseline as A, 1 with the model as A. */
  number: 0 | 1;
}

/**
 * Both games of each question, in order. A judgment without exactly one verdict is answered once with a reminder; then
 * the game stays without a score. The likeliest tokens are taken always, as published (temperature 0).
 */
export async function judgeGames(
  pairs: readonly ArenaPair[],
  judge: ChatModel,
  { template = createArenaTemplate(), maxTokens = 4096, signal, onProgress }: JudgeGamesOptions = {},
): Promise<[ArenaGame, ArenaGame][]> {
  const games = gamesOf(pairs);
  let done = 0;
  const findings = await askTwice<Game, ArenaVerdict>(
    judge,
    games,
    {
      request: (game) => gameRequest(game, template, maxTokens),
      read: ({ text }) => readArenaVerdict(text),
      again: (first, reply) => ({
        ...first,
        messages: [
          ...first.messages,
          { role: 'assistant', content: reply.text.trim().slice(-REPEATED_CHARACTERS) || '...' },
          { role: 'user', content: REMINDER },
        ],
      }),
    },
    {
      ...(signal === undefined ? {} : { signal }),
      onFinding: () => onProgress?.({ done: ++done, total: games.length }),
    },
  );
  const byGame = new Map(findings.map((finding) => [gameId(finding.subject), finding]));
  const none: ArenaGame = { user_prompt: '', judgment: '', score: null, problem: 'the model gave no answer' };
  return pairs.map((pair) => {
    const [first, second] = ([0, 1] as const).map((number) => byGame.get(gameId({ pair, number })));
    return [first === undefined ? none : gameOf(first), second === undefined ? none : gameOf(second)];
  });
}

/** The requests of the first round, for an estimate. */
export function gameRequests(
  pairs: readonly ArenaPair[],
  { template = createArenaTemplate(), maxTokens = 4096 }: JudgeGamesOptions = {},
): ChatRequest[] {
  return gamesOf(pairs).map((game) => gameRequest(game, template, maxTokens));
}

function gamesOf(pairs: readonly ArenaPair[]): Game[] {
  return pairs
    .filter(({ model }) => model !== undefined)
    .flatMap((pair) => ([0, 1] as const).map((number) => ({ pair, number })));
}

function gameId({ pair, number }: Game): string {
  return `${pair.id} game ${number + 1}`;
}

function gameRequest(game: Game, template: ArenaTemplate, maxTokens: number): ChatRequest {
  const { question, baseline, model = '' } = game.pair;
  const [first, second] = game.number === 0 ? [baseline, model] : [model, baseline];
  return {
    id: gameId(game),
    messages: template.render(question, first, second),
    sampling: { temperature: 0, maxTokens },
  };
}

function gameOf({ request, reply, answer, problem }: Finding<Game, ArenaVerdict>): ArenaGame {
  return {
    user_prompt: request.messages.find(({ role }) => role === 'user')?.content ?? '',
    judgment: reply?.text ?? '',
    score: answer ?? null,
    ...(problem === undefined ? {} : { problem }),
  };
}
