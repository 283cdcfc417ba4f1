import { appendFileSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { studyEvaluation, studyResults } from '../../../src/eval/human-study/results.js';
import { createStudyApp, startStudy } from '../../../src/eval/human-study/server.js';
import { dealSheet } from '../../../src/eval/human-study/sheet.js';
import { readVotes, type Vote } from '../../../src/eval/human-study/votes.js';
import { evaluationResultSchema } from '../../../src/eval/results.js';
import type { AnswerRow } from '../../../src/eval/user-eval/files.js';
import { ORDERS, type TurnJudgment, type Winner } from '../../../src/eval/user-eval/judge-turns.js';

const HOST = { host: '127.0.0.1:8100' };

function answers(count: number): AnswerRow[] {
  return Array.from({ length: count }, (_, index) => ({
    ...{
      id: `c${index}:0`,
      user: `u${index % 3}`,
      conversation: `c${index}`,
      turn: 0,
      kind: 'initial' as const,
    },
    prompt: [{ role: 'user' as const, content: `request ${index}` }],
    ...{ original: `log ${index}`, answer: `model ${index}` },
  }));
}

function votesFile(): string {
  return join(mkdtempSync(join(tmpdir(), 'human-study-')), 'votes.jsonl');
}

describe('dealSheet', () => {
  it('gives everybody the shared turns, and others beside them, the same every time', () => {
    const [ann, ben] = ['ann', 'ben'].map((name) => dealSheet(answers(40), name, { turns: 15, shared: 5 }));
    const ids = (sheet: typeof ann) => (sheet ?? []).map(({ item }) => item.id);
    expect(new Set(ids(ann)).size).toBe(15);
    const both = ids(ann).filter((id) => ids(ben).includes(id));
    expect(both.length).toBeGreaterThanOrEqual(5);
    expect(both.length).toBeLessThan(15);
    expect(ids(dealSheet([...answers(40)].reverse(), 'ann', { turns: 15, shared: 5 }))).toEqual(ids(ann));
    expect(ids(dealSheet(answers(40), 'ann', { turns: 15, shared: 5, seed: 1 }))).not.toEqual(ids(ann));
  });

  it('puts either answer on either side', () => {
    const sheet = dealSheet(answers(40), 'ann', { turns: 40, shared: 0 });
    const onTheLeft = sheet.filter(({ left }) => left === 'answer').length;
    expect(onTheLeft).toBeGreaterThan(8);
    expect(onTheLeft).toBeLessThan(32);
    for (const { item, left } of sheet)
      expect(item.left.startsWith(left === 'answer' ? 'model' : 'log')).toBe(true);
  });

  it('gives all there is where there are fewer, and refuses names that are none', () => {
    expect(dealSheet(answers(3), 'ann')).toHaveLength(3);
    expect(() => dealSheet(answers(3), ' ')).toThrow(/from 1 to 60 characters/);
    expect(() => dealSheet(answers(3), 'ann', { turns: 2, shared: 3 })).toThrow(/more than the 2 of a sheet/);
  });
});

describe('the server of a study', () => {
  const vote = (body: unknown) => ({
    method: 'POST',
    headers: { ...HOST, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

  it('tells nobody whose answer is whose, keeps votes, and knows them when somebody comes back', async () => {
    const votes = votesFile();
    const app = createStudyApp({ answers: answers(4), votes, personas: new Map([['u0', '- likes tables']]) });
    const items = async () => {
      const response = await app.request('/api/items?participant=ann', { headers: HOST });
      return ((await response.json()) as { items: Record<string, unknown>[] }).items;
    };
    const [first] = await items();
    expect(Object.keys(first ?? {}).filter((key) => key !== 'persona')).toEqual([
      'id',
      'prompt',
      'left',
      'right',
      'voted',
    ]);
    const cast = await app.request(
      '/api/votes',
      vote({ participant: 'ann', id: first?.id, side: 'left', seconds: 3 }),
    );
    expect(cast.status).toBe(200);
    expect((await items()).map(({ voted }) => voted)).toEqual([true, false, false, false]);
    const [kept] = readVotes(votes);
    expect(kept).toMatchObject({ participant: 'ann', id: first?.id, seconds: 3 });
    expect(kept?.winner).toBe(String(first?.left).startsWith('model') ? 'answer' : 'original');
    await app.request('/api/votes', vote({ participant: 'ann', id: first?.id, side: 'tie', seconds: 1 }));
    expect(readVotes(votes).map(({ winner }) => winner)).toEqual(['tie']);
  });

  it.each([
    [
      'a turn that is not on the sheet',
      { participant: 'ann', id: 'x:0', side: 'left', seconds: 1 },
      'is not on the sheet',
    ],
    [
      'a side that is none',
      { participant: 'ann', id: 'c0:0', side: 'up', seconds: 1 },
      'expected participant',
    ],
    ['nobody', { participant: '  ', id: 'c0:0', side: 'left', seconds: 1 }, 'from 1 to 60 characters'],
  ])('refuses %s', async (_name, body, message) => {
    const votes = votesFile();
    const response = await createStudyApp({ answers: answers(4), votes }).request('/api/votes', vote(body));
    expect(response.status).toBe(400);
    expect(((await response.json()) as { error: string }).error).toContain(message);
    expect(readVotes(votes)).toEqual([]);
  });

  it('refuses what browsers send from elsewhere, and other names for this machine', async () => {
    const app = createStudyApp({ answers: answers(4), votes: votesFile() });
    const form = { method: 'POST', headers: { ...HOST, 'content-type': 'text/plain' }, body: '{}' };
    expect((await app.request('/api/votes', form)).status).toBe(400);
    expect((await app.request('/', { headers: { host: 'evil.example' } })).status).toBe(400);
    const page = await app.request('/', { headers: HOST });
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  });

  it('listens on this machine alone, and stops', async () => {
    const study = await startStudy({ answers: answers(2), votes: votesFile() }, { port: 0 });
    expect(study.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await (await fetch(study.url)).text()).toContain('Human study');
    await study.stop();
    await expect(fetch(study.url)).rejects.toThrow();
  });
});

describe('votes', () => {
  it('leave out a line that was cut off, and name one that is wrong', () => {
    const path = votesFile();
    const row = { participant: 'ann', id: 'c0:0', winner: 'tie', left: 'answer', seconds: 1, time: '' };
    writeFileSync(path, `${JSON.stringify(row)}\n{"participant": "a`);
    expect(readVotes(path)).toHaveLength(1);
    appendFileSync(path, '\n');
    expect(() => readVotes(path)).toThrow(/votes.jsonl.*expected a vote|expected a vote/);
  });
});

describe('studyResults', () => {
  const votesOf = (participant: string, winners: readonly Winner[]): Vote[] =>
    winners.map((winner, index) => ({
      ...{ participant, id: `c${index}:0`, winner, left: 'answer' as const, seconds: 2, time: '' },
    }));

  it('gives win rate and agreement', () => {
    const votes = [
      ...votesOf('ann', ['answer', 'answer', 'original', 'tie']),
      ...votesOf('ben', ['answer', 'original', 'original', 'tie']),
    ];
    const results = studyResults(votes);
    expect(results.winRate.estimate).toBeCloseTo((2.5 + 1.5) / 8, 12);
    expect(results.agreement).toMatchObject({ pairs: 4, share: 0.75 });
    // Krippendorff: observed 2/8; values 3 answer, 3 original, 2 tie give (64 - 22) / (8 * 7) expected.
    expect(results.agreement?.alpha).toBeCloseTo(1 - 2 / 8 / (42 / 56), 12);
    expect(results.leftShare).toBeCloseTo((3 + 0.5 * 2) / 8, 12);
    expect(evaluationResultSchema.parse(studyEvaluation(results, 'model')).tables).toHaveLength(2);
  });

  it('compares with the judge where both decided', () => {
    const judged = (['answer', 'original', 'original', 'answer'] as const).flatMap(
      (winner, index): TurnJudgment[] =>
        ORDERS.map((order) => ({
          ...{ id: `c${index}:0`, user: 'u', kind: 'initial', axis: 'user-eval', order, winner },
        })),
    );
    const results = studyResults(votesOf('ann', ['answer', 'answer', 'original', 'tie']), judged);
    expect(results.withJudge).toEqual({ votes: 3, share: 2 / 3 });
    expect(results.agreement).toBeNull();
  });
});
