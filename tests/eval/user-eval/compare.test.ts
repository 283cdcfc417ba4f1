import { describe, expect, it } from 'vitest';
import { compareEvaluations } from '../../../src/eval/user-eval/compare.js';
import { createJudgeTemplate } from '../../../src/eval/user-eval/judge-templates.js';
import { ORDERS, type TurnJudgment, type Winner } from '../../../src/eval/user-eval/judge-turns.js';

/** A turn for each winner, of users `u0`, `u1`, ... */
function judged(winners: readonly Winner[], turnsOfAUser = 1): TurnJudgment[] {
  return winners.flatMap((winner, index) =>
    ORDERS.map((order) => ({
      ...{ id: `c${index}:0`, user: `u${Math.floor(index / turnsOfAUser)}`, kind: 'initial' as const },
      ...{ axis: 'user-eval' as const, order, winner },
    })),
  );
}

describe('compareEvaluations', () => {
  it('takes the difference turn by turn, so that what both share is no uncertainty', () => {
    const hard: Winner[] = ['answer', 'original', 'answer', 'original', 'tie', 'original'];
    const [same] = compareEvaluations(judged(hard), judged(hard));
    expect(same?.difference).toMatchObject({ estimate: 0, low: 0, high: 0 });
    const better = hard.map((winner): Winner => (winner === 'original' ? 'tie' : winner));
    const [difference] = compareEvaluations(judged(better), judged(hard));
    expect(difference).toMatchObject({ turns: 6, users: 6 });
    expect(difference?.difference.estimate).toBeCloseTo(0.25, 12);
    expect(difference?.difference.low).toBeGreaterThanOrEqual(0);
  });

  it('is wider where the turns are those of few users', () => {
    const first: Winner[] = ['answer', 'answer', 'answer', 'original', 'original', 'original'];
    const second = first.map((): Winner => 'tie');
    const width = (turnsOfAUser: number) => {
      const [found] = compareEvaluations(judged(first, turnsOfAUser), judged(second, turnsOfAUser));
      return (found?.difference.high ?? 0) - (found?.difference.low ?? 0);
    };
    expect(width(3)).toBeGreaterThan(width(1));
  });

  it('looks only at turns that both were judged on, and refuses where there are none', () => {
    const all = judged(['answer', 'original', 'answer']);
    const [found] = compareEvaluations(all, all.slice(2));
    expect(found?.turns).toBe(2);
    const elsewhere = all.map((judgment) => ({ ...judgment, id: `x${judgment.id}` }));
    expect(() => compareEvaluations(all, elsewhere)).toThrow(/turns in common, found none/);
  });
});

describe('judge templates', () => {
  it('must show what there is to judge', () => {
    const source = '{% for m in conversation %}{{ m.content }}{% endfor %} {{ first }} {{ second }}';
    expect(() => createJudgeTemplate('personalization', source)).toThrow('must show {{ persona }}');
    expect(createJudgeTemplate('instruction-following', source).source).toBe(source);
    expect(() => createJudgeTemplate('user-eval', source.replace('second', 'first'))).toThrow(
      'must show {{ second }}',
    );
  });
});
