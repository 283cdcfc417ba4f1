/** What personas want: by a judge, by words, and in shares. */

import { describe, expect, it } from 'vitest';
import { Tally } from '../../../src/data/tally.js';
import { ConfigError } from '../../../src/errors.js';
import { dimensionsByRules } from '../../../src/eval/analysis/dimension-rules.js';
import { dimensionShares } from '../../../src/eval/analysis/dimension-shares.js';
import { createDimensionTemplate } from '../../../src/eval/analysis/dimension-template.js';
import { judgeDimensions } from '../../../src/eval/analysis/judge-dimensions.js';
import { PREFERENCE_DIMENSIONS } from '../../../src/eval/analysis/preference-dimensions.js';
import { scriptedModel, textOf } from '../../pairs/support/scripted-model.js';

describe('a judge', () => {
  it('is asked about each persona and dimension, and again where it gives no verdict', async () => {
    const model = scriptedModel({
      reply: ({ id, messages }, attempt) => {
        if (id === 'bob:tone') return attempt === 0 ? 'Hard to say.' : '[[B]]';
        if (id === 'bob:structure') return 'I would rather not.';
        return textOf({ messages }).includes('Likes jokes') ? '[[A]]' : 'none';
      },
    });
    const dropped: unknown[] = [];
    const tally = new Tally('verdicts', (drop) => dropped.push(drop));
    const progress: number[] = [];
    const personas = [
      { user: 'ann', persona: '- Likes jokes' },
      { user: 'bob', persona: '- Likes tea {{ 1 }}' },
    ];
    const onProgress = (done: number) => progress.push(done);
    const found = await judgeDimensions(personas, { model, tally, onProgress });
    expect(found).toEqual([
      {
        user: 'ann',
        wishes: { expertise: 'first', informativeness: 'first', tone: 'first', structure: 'first' },
      },
      { user: 'bob', wishes: { expertise: 'none', informativeness: 'none', tone: 'second' } },
    ]);
    expect(tally.counts()).toMatchObject({ in: 8, out: 7, dropped: { 'no-verdict': 1 } });
    expect(dropped).toMatchObject([{ id: 'bob:structure', user: 'bob', reason: 'no-verdict' }]);
    expect(progress.at(-1)).toBe(8);
    const [first] = model.asked;
    expect(textOf(first!)).toContain(PREFERENCE_DIMENSIONS[0].firstWish);
    expect(first!.owner).toBe('ann');
    expect(model.asked.some((request) => textOf(request).includes('{{ 1 }}'))).toBe(true);
  });

  it('is asked by a template that shows persona and wishes', () => {
    expect(() => createDimensionTemplate('{{ persona }} {{ first }}')).toThrow(ConfigError);
    const { render } = createDimensionTemplate('{{ persona }}: {{ first }} or {{ second }}?');
    expect(render('P', PREFERENCE_DIMENSIONS[1])[0]!.content).toBe(
      `P: ${PREFERENCE_DIMENSIONS[1].firstWish} or ${PREFERENCE_DIMENSIONS[1].secondWish}?`,
    );
  });
});

describe('words', () => {
  const wishes = (persona: string) => dimensionsByRules([{ user: 'u', persona }])[0]!.wishes;

  it.each([
    ['- Wants short answers\n- In bullet points', { informativeness: 'first', structure: 'first' }],
    ['- Wants detailed, comprehensive background', { informativeness: 'second', structure: 'none' }],
    ['- Prefers a friendly, casual tone', { tone: 'first' }],
    ['- Expects formal, professional language for experts', { tone: 'second', expertise: 'second' }],
    ['- Explain in simple terms, for a beginner', { expertise: 'first' }],
    ['- Does not want bullet points, but flowing prose', { structure: 'second' }],
    ['- Dislikes long answers', { informativeness: 'first' }],
    [
      '- Writes about gardens',
      { expertise: 'none', informativeness: 'none', tone: 'none', structure: 'none' },
    ],
  ])('%s', (persona, expected) => {
    expect(wishes(persona)).toMatchObject(expected);
  });
});

describe('shares', () => {
  it('are of the users on whom there was a verdict, and add up', () => {
    const found = [
      { user: 'a', wishes: { tone: 'first' as const } },
      { user: 'b', wishes: { tone: 'second' as const } },
      { user: 'c', wishes: { tone: 'second' as const } },
      { user: 'd', wishes: { tone: 'none' as const } },
      { user: 'e', wishes: {} },
    ];
    const tone = dimensionShares(found).find(({ dimension }) => dimension.name === 'tone')!;
    expect(tone).toMatchObject({ users: 4, unjudged: 1 });
    expect(tone.shares.second).toMatchObject({ estimate: 0.5 });
    expect(tone.shares.second.low).toBeLessThan(0.5);
    const sum = Object.values(tone.shares).reduce((total, { estimate }) => total + estimate, 0);
    expect(sum).toBeCloseTo(1, 12);
    const expertise = dimensionShares(found)[0]!;
    expect(expertise).toMatchObject({ users: 0, unjudged: 5 });
  });
});
