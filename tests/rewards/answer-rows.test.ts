import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Message } from '../../src/data/pairs.js';
import { createPersonaTemplate } from '../../src/data/persona-prompt.js';
import { tokenizePair } from '../../src/data/tokenize.js';
import { loadTokenizer, type Tokenizer } from '../../src/data/tokenizer.js';
import { answerRows } from '../../src/rewards/answer-rows.js';
import { parseRecipe, type RewardRecipeInput } from '../../src/rewards/recipe.js';
import type { ScoreRequest } from '../../src/rewards/reward-model.js';
import { writeTinyTokenizer } from '../support/tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-answer-rows-'));
let tokenizer: Tokenizer;
beforeAll(() => {
  writeTinyTokenizer(folder);
  tokenizer = loadTokenizer(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const conversation: Message[] = [
  { role: 'user', content: 'First question, of the sea.' },
  { role: 'assistant', content: 'The first answer.' },
  { role: 'user', content: 'And what lives there?' },
];
const request: ScoreRequest = {
  prompt: conversation,
  candidates: ['Fish.', 'Whales, and fish.', 'Fish. '],
};

function rows(
  given: ScoreRequest,
  recipe: Partial<RewardRecipeInput> = {},
  classificationId: number | null = null,
  tokens = tokenizer,
) {
  const whole = { version: 1, head: { kind: 'sequence-classification', dtype: 'float32' }, maxTokens: 500 };
  return answerRows(given, {
    tokenizer: tokens,
    recipe: parseRecipe({ ...whole, ...recipe }, 'recipe'),
    personaTemplate: createPersonaTemplate(),
    classificationId,
  });
}

const text = ({ ids }: { ids: readonly number[] }) => tokenizer.decode(ids);

describe('a row', () => {
  test('is the whole conversation as the chat template writes it', () => {
    const [first, second] = rows(request);
    const template = tokenizer.chatTemplate;
    for (const [row, content] of [
      [first, 'Fish.'],
      [second, 'Whales, and fish.'],
    ] as const) {
      const whole = template?.render([...conversation, { role: 'assistant', content }]) ?? '';
      expect(row?.ids).toEqual(tokenizer.encode(whole));
      expect(row?.truncated).toBe(false);
    }
  });

  test('does not depend on the other candidates', () => {
    const together = rows(request).map(({ ids }) => ids);
    const alone = request.candidates.map(
      (candidate) => rows({ ...request, candidates: [candidate] })[0]?.ids,
    );
    expect(together).toEqual(alone);
  });

  test('holds the persona as the system message', () => {
    const [row] = rows({ ...request, persona: 'Likes numbers.' });
    expect(text(row as never)).toMatch(/^<\|im_start\|>system\n[\s\S]*Likes numbers\.<\|im_end\|>/);
    expect(rows({ ...request, persona: ' ' })[0]).toEqual(rows(request)[0]);
  });

  test('ends with the turn, as in training, where the recipe says so', () => {
    const [row] = rows({ ...request, persona: 'P' }, { end: 'end-of-turn' });
    const pair = tokenizePair(
      {
        prompt: conversation,
        persona: 'P',
        chosen: [{ role: 'assistant', content: 'Fish.' }],
        rejected: [{ role: 'assistant', content: 'No.' }],
      },
      tokenizer,
    );
    expect(pair.ok && [...pair.pair.promptIds, ...pair.pair.chosenIds]).toEqual(row?.ids);
  });

  test('has the classification token at its end, also when it was cut', () => {
    const [whole] = rows(request, {}, 7);
    expect(whole?.ids.at(-1)).toBe(7);
    const [cut] = rows(request, { maxTokens: 60 }, 7);
    expect(cut?.ids.length).toBeLessThanOrEqual(61);
    expect(cut?.ids.at(-1)).toBe(7);
    expect(cut?.truncated).toBe(true);
  });
});

test("the tokenizer's own first token stands before that of the template, also when the row was cut", () => {
  const other = join(folder, 'starts');
  mkdirSync(other);
  writeTinyTokenizer(other);
  const path = join(other, 'tokenizer.json');
  const start = { SpecialToken: { id: '<|im_start|>', type_id: 0 } };
  const processor = {
    type: 'TemplateProcessing',
    single: [start, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [start, { Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: { '<|im_start|>': { id: '<|im_start|>', ids: [1], tokens: ['<|im_start|>'] } },
  };
  writeFileSync(
    path,
    JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), post_processor: processor }),
  );
  const starts = loadTokenizer(other);
  const plain = rows(request, {}, null, starts).map(({ ids }) => ids);
  const doubled = rows(request, { addSpecialTokens: true }, null, starts).map(({ ids }) => ids);
  expect(doubled).toEqual(plain.map((ids) => [1, ...ids]));
  const maxTokens = 60;
  const [cut] = rows(request, { addSpecialTokens: true, maxTokens }, null, starts);
  const [short] = rows(request, { maxTokens: maxTokens - 1 }, null, starts);
  expect(cut?.ids).toEqual([1, ...(short?.ids ?? [])]);
  expect(cut?.truncated).toBe(true);
});

describe('a conversation that is too long', () => {
  test('loses its oldest exchanges first', () => {
    const { length } = rows(request)[1]?.ids ?? [];
    const [, row] = rows({ ...request, persona: undefined as never }, { maxTokens: (length as number) - 5 });
    expect(text(row as never)).toBe(
      '<|im_start|>user\nAnd what lives there?<|im_end|>\n<|im_start|>assistant\nWhales, and fish.<|im_end|>\n',
    );
    expect(row?.truncated).toBe(true);
  });

  test('then the beginning of its last message; persona and answer stay', () => {
    const long = { role: 'user' as const, content: `${'x'.repeat(300)} at last?` };
    const [row] = rows({ prompt: [long], persona: 'Short.', candidates: ['Yes.'] }, { maxTokens: 450 });
    expect(row?.ids).toHaveLength(450);
    expect(text(row as never)).toMatch(
      /Short\.<\|im_end\|>\n<\|im_start\|>user\nx+ at last\?<\|im_end\|>[\s\S]*Yes\./,
    );
  });

  test('is cut at its end where the recipe says so', () => {
    const whole = rows(request)[0]?.ids ?? [];
    const [row] = rows(request, { maxTokens: whole.length - 3, truncation: 'end' });
    expect(row).toEqual({ ids: whole.slice(0, -3), truncated: true });
  });

  test.each([
    ['context', 40, /Candidate 2 is too long: it takes \d+ tokens/],
    ['end', 30, /Nothing of candidate 2 is left/],
  ] as const)('is an error where nothing else helps (%s)', (truncation, maxTokens, message) => {
    const prompt = [{ role: 'user' as const, content: 'Hi, you?' }];
    const candidates = ['a', truncation === 'context' ? 'b'.repeat(60) : 'c'];
    const given = truncation === 'end' ? { prompt: conversation, candidates } : { prompt, candidates };
    const order = truncation === 'end' ? message.source.replace('2', '1') : message.source;
    expect(() => rows(given, { maxTokens, truncation })).toThrow(new RegExp(order));
  });
});

test.each([
  ['no candidates', { ...request, candidates: [] }, /no candidates/],
  ['an empty candidate', { ...request, candidates: ['a', ' \n'] }, /Candidate 2 of 2 is empty/],
  ['no user', { prompt: [{ role: 'system', content: 's' }], candidates: ['a'] }, /no message of the user/],
  ['an answer at the end', { prompt: conversation.slice(0, 2), candidates: ['a'] }, /ends with an answer/],
] as const)('%s is refused', (_name, given, message) => {
  expect(() => rows(given as ScoreRequest)).toThrow(message);
});
