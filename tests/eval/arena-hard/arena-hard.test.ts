import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ConfigError } from '../../../src/errors.js';
import {
  answersTo,
  readArenaAnswers,
  readArenaJudgments,
  readArenaQuestions,
} from '../../../src/eval/arena-hard/arena-files.js';
import { type ArenaPair, judgeGames } from '../../../src/eval/arena-hard/judge-games.js';
import { createArenaTemplate } from '../../../src/eval/arena-hard/prompts.js';
import { type ArenaGames, arenaScore, battlesOf } from '../../../src/eval/arena-hard/score.js';
import { readArenaVerdict } from '../../../src/eval/arena-hard/verdict.js';
import { fitLogistic } from '../../../src/eval/statistics/logistic-regression.js';
import { refusedRequest, scriptedModel, textOf } from '../../pairs/support/scripted-model.js';

const reference = join(process.env.PERSONA_DPO_REFERENCE_DIR ?? '', 'data', 'arena_hard');
const isMissing = process.env.PERSONA_DPO_REFERENCE_DIR === undefined || !existsSync(reference);
const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-arena-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function written(...rows: object[]): string {
  const path = join(folder, `${files++}.jsonl`);
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join('\n'));
  return path;
}

describe.skipIf(isMissing)('the published judgments (skipped without PERSONA_DPO_REFERENCE_DIR)', () => {
  const file = join(reference, 'llama31_8b_instruct_82q', 'judgment.gpt-4-1106-preview.jsonl');

  test('come to 37.5 (-6.0/+5.9)', async () => {
    const { model, games } = await readArenaJudgments(file);
    expect(model).toBe('Meta-Llama-3.1-8B-Instruct');
    expect(games.size).toBe(82);
    const { score, verdicts } = arenaScore([...games.values()]);
    expect(score.estimate).toBe(37.5);
    // As published by 100 draws: the ends of such an interval move by about half a point from seed to seed.
    expect(Math.abs(score.estimate - score.low - 6.0)).toBeLessThan(1);
    expect(Math.abs(score.high - score.estimate - 5.9)).toBeLessThan(1);
    expect(verdicts.none).toBe(2);
    expect(Object.values(verdicts).reduce((sum, count) => sum + count)).toBe(164);
  });

  test('are read in their texts as they were scored', async () => {
    const { checkedRows } = await import('../../../src/eval/table-rows.js');
    const { z } = await import('zod');
    const schema = z.object({
      games: z.array(z.object({ judgment: z.string(), score: z.string().nullable() })),
    });
    const read: unknown[] = [];
    for await (const { value } of checkedRows(file, schema, 'a judgment')) {
      for (const { judgment, score } of value.games)
        read.push([score, readArenaVerdict(judgment).answer ?? null]);
    }
    const different = (read as [string, string | null][]).filter(([score, own]) => score !== own);
    expect(read).toHaveLength(164);
    expect(different).toEqual([]);
  });
});

describe('a verdict', () => {
  test.each([
    ['I prefer A. [[A>B]]', 'A>B'],
    ['[[B<<A]] so [[A>>B]]', 'A>>B'],
    ['My verdict: [B>A]', 'B>A'],
    ['[A] is worse than [B], [[A<<B]]', 'B>>A'],
    ['[[B=A]]', 'A=B'],
  ])('of %j is %s', (judgment, verdict) => expect(readArenaVerdict(judgment)).toEqual({ answer: verdict }));

  test.each([
    ['A is better.', 'no verdict'],
    ['[[A>B]] or [[B>A]]', 'several verdicts: A>B, B>A'],
    ['[[A>>>B]]', '[[A>>>B]] is none of the verdicts'],
    ['', 'no verdict'],
  ])('of %j is missing', (judgment, problem) =>
    expect(readArenaVerdict(judgment).problem).toContain(problem),
  );
});

describe('the score', () => {
  const games: ArenaGames[] = [
    ['B>A', 'A>B'],
    ['A>>B', 'B>A'],
    ['A=B', null],
  ];

  test('counts clear wins three times, ties by half, and exchanges sides', () => {
    expect(games.map((each) => battlesOf(each, 3))).toEqual([[1, 1], [0, 0, 0, 0], [0.5]]);
    const { score, verdicts } = arenaScore(games);
    expect(score.estimate).toBeCloseTo((100 * 2.5) / 7, 12);
    expect(verdicts).toEqual({ 'clear wins': 0, wins: 2, ties: 1, losses: 1, 'clear losses': 1, none: 1 });
    expect(arenaScore(games, { weight: 1 }).score.estimate).toBe(50);
  });

  test('is that of the Bradley-Terry model fitted by logistic regression, as published', () => {
    const battles = games.flatMap((each) => battlesOf(each, 3));
    const [rating = 0] = fitLogistic({ features: battles.map(() => [Math.log(10)]), targets: battles });
    const elo = 1000 + 400 * rating;
    const winRate = 100 / (1 + 10 ** ((1000 - elo) / 400));
    expect(arenaScore(games).score.estimate).toBeCloseTo(winRate, 4);
  });

  test('repeats itself by its seed, and is wider by question where games agree', () => {
    const agreeing = Array.from(
      { length: 40 },
      (_, i): ArenaGames => (i % 2 === 0 ? ['B>A', 'A>B'] : ['A>B', 'B>A']),
    );
    const byBattle = arenaScore(agreeing, { seed: 1 }).score;
    expect(arenaScore(agreeing, { seed: 1 }).score).toEqual(byBattle);
    const byQuestion = arenaScore(agreeing, { seed: 1, unit: 'question' }).score;
    expect(byQuestion.high - byQuestion.low).toBeGreaterThan(1.2 * (byBattle.high - byBattle.low));
  });

  test('of no battles is none', () => {
    expect(arenaScore([[null, null]]).score.estimate).toBeNaN();
    expect(arenaScore([]).score.low).toBeNaN();
    expect(() => arenaScore([], { weight: 0 })).toThrow(ConfigError);
  });
});

describe('games', () => {
  const pairs: ArenaPair[] = ['one', 'two'].map((id) => ({
    id,
    question: `Question ${id}`,
    baseline: 'BASE',
    model: 'OWN',
  }));
  const ownIsA = (text: string) => text.indexOf('OWN') < text.indexOf('BASE');

  test('are two for a question, with the answers exchanged', async () => {
    const judge = scriptedModel({
      reply: (request) => (ownIsA(textOf(request)) ? 'Well. [[A>>B]]' : 'Well. [[B>A]]'),
    });
    const games = await judgeGames(pairs, judge);
    expect(games.map((each) => each.map(({ score }) => score))).toEqual([
      ['B>A', 'A>>B'],
      ['B>A', 'A>>B'],
    ]);
    expect(judge.asked).toHaveLength(4);
    expect(judge.asked[0]?.sampling).toEqual({ temperature: 0, maxTokens: 4096 });
    expect(games[0]?.[0].judgment).toBe('Well. [[B>A]]');
  });

  test('without a verdict are asked once more, then counted', async () => {
    const judge = scriptedModel({
      reply: (request, attempt) => {
        if (request.id === 'one game 1') return 'I cannot decide.';
        if (request.id === 'one game 2') return attempt === 0 ? '' : '[[A=B]]';
        return request.id === 'two game 1' ? refusedRequest('too long') : '[[A>B]]';
      },
    });
    const progress: number[] = [];
    const games = await judgeGames(pairs, judge, { onProgress: ({ done }) => void progress.push(done) });
    expect(games[0]?.map(({ score }) => score)).toEqual([null, 'A=B']);
    expect(games[0]?.[0].problem).toContain('no verdict');
    expect(games[1]?.[0]).toMatchObject({ score: null, judgment: '', problem: 'too long' });
    // A failed request is the model's business: it was tried again by it.
    expect(judge.asked).toHaveLength(6);
    expect(judge.asked.at(-1)?.messages.at(-1)?.content).toContain('[[A>>B]], [[A>B]]');
    expect(progress.at(-1)).toBe(4);
  });

  test('are not played where there is no answer', async () => {
    const judge = scriptedModel();
    const games = await judgeGames([{ ...(pairs[0] as ArenaPair), model: undefined }], judge);
    expect(games[0]?.map(({ score }) => score)).toEqual([null, null]);
    expect(judge.asked).toHaveLength(0);
    expect(() => createArenaTemplate('{{ question }}')).toThrow('must show {{ first }}');
  });
});

describe('files', () => {
  const question = { question_id: 'a', category: 'x', turns: [{ content: 'Q' }] };
  const answer = {
    question_id: 'a',
    model_id: 'm',
    choices: [{ index: 0, turns: [{ content: 'A', token_len: 1 }] }],
  };
  const judgment = {
    question_id: 'a',
    model: 'm',
    judge: 'j',
    games: [{ judgment: 'x', score: 'A>B' }, null],
  };

  test("are read in Arena-Hard's form", async () => {
    const questions = await readArenaQuestions(written(question));
    expect(questions).toEqual([{ id: 'a', question: 'Q' }]);
    const answers = await readArenaAnswers(written(answer));
    expect(answersTo(questions, answers, 'f')).toEqual(['A']);
    const { games, judge } = await readArenaJudgments(written(judgment));
    expect([...games]).toEqual([['a', ['A>B', null]]]);
    expect(judge).toBe('j');
  });

  test('of another version are refused', async () => {
    const twice = written(question, question);
    await expect(readArenaQuestions(twice)).rejects.toThrow(`${twice}:2: the question a is there twice`);
    await expect(readArenaQuestions(written({ uid: 'a', prompt: 'Q' }))).rejects.toThrow(
      'a question of Arena-Hard 0.1',
    );
    await expect(
      readArenaAnswers(written(answer, { ...answer, question_id: 'b', model_id: 'n' })),
    ).rejects.toThrow('answers of one model, got m and n');
    const questions = await readArenaQuestions(written(question, { ...question, question_id: 'b' }));
    const answers = await readArenaAnswers(written(answer));
    expect(() => answersTo(questions, answers, 'f.jsonl')).toThrow(
      'f.jsonl: m has no answer to 1 of the 2 questions, such as b; are they of the same version?',
    );
    await expect(readArenaJudgments(written({ ...judgment, games: [null] }))).rejects.toThrow(
      'expected two games',
    );
    const odd = { ...judgment, games: [{ judgment: '', score: 'A' }, null] };
    await expect(readArenaJudgments(written(odd))).rejects.toThrow('expected a score of A>>B, A>B');
    await expect(readArenaJudgments(written())).rejects.toThrow('there are no judgments in it');
  });
});
