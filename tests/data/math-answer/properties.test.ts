/**
 * Rules rather than cases: what holds of all answers. A comparison that knew the cases of the reference graders by heart
 * would not pass here.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sameAnswer } from '../../../src/data/math-answer/same-answer.js';
import { sameForm } from '../../../src/data/math-answer/written-form.js';

/** An expression, and the ways in which one may write it. */
type Expression =
  | { kind: 'whole'; value: number }
  | { kind: 'letter'; name: string }
  | { kind: 'sum' | 'product' | 'quotient'; left: Expression; right: Expression }
  | { kind: 'root' | 'square' | 'sine'; of: Expression };

const expressions = fc.letrec<{ any: Expression }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.record({ kind: fc.constant('whole' as const), value: fc.integer({ min: 1, max: 9 }) }),
    fc.record({ kind: fc.constant('letter' as const), name: fc.constantFrom('x', 'y', 'k', 't') }),
    fc.record({
      kind: fc.constantFrom('sum' as const, 'product' as const, 'quotient' as const),
      left: tie('any'),
      right: tie('any'),
    }),
    fc.record({ kind: fc.constantFrom('root' as const, 'square' as const, 'sine' as const), of: tie('any') }),
  ),
})).any;

interface Spelling {
  fraction: (over: string, under: string) => string;
  times: string;
  open: string;
  close: string;
  space: string;
  /** Whether the parts of sums and products change places. */
  turned: boolean;
}

const SPELLINGS: readonly Spelling[] = [
  {
    fraction: (a, b) => `\\frac{${a}}{${b}}`,
    times: ' \\cdot ',
    open: '\\left(',
    close: '\\right)',
    space: ' ',
    turned: false,
  },
  { fraction: (a, b) => `(${a})/(${b})`, times: '*', open: '(', close: ')', space: '', turned: false },
  {
    fraction: (a, b) => `\\dfrac{ ${a} }{ ${b} }`,
    times: '\\times ',
    open: '\\bigl(',
    close: '\\bigr)',
    space: '\\, ',
    turned: true,
  },
];

function write(expression: Expression, spelling: Spelling): string {
  const { fraction, times, open, close, space, turned } = spelling;
  const inner = (part: Expression) => write(part, spelling);
  switch (expression.kind) {
    case 'whole':
      return String(expression.value);
    case 'letter':
      return expression.name;
    case 'sum': {
      const parts = [inner(expression.left), inner(expression.right)];
      return `${open}${(turned ? parts.reverse() : parts).join(`${space}+${space}`)}${close}`;
    }
    case 'product': {
      const parts = [inner(expression.left), inner(expression.right)];
      return `${open}${(turned ? parts.reverse() : parts).join(times)}${close}`;
    }
    case 'quotient':
      return `${open}${fraction(inner(expression.left), inner(expression.right))}${close}`;
    case 'root':
      return `\\sqrt{${inner(expression.of)}}`;
    case 'square':
      return `${open}${inner(expression.of)}${close}^${turned ? '{2}' : '2'}`;
    case 'sine':
      return `\\sin${open}${inner(expression.of)}${close}`;
  }
}

/** Pieces of LaTeX in any order: most of it is no mathematics. */
const soup = fc
  .array(
    fc.constantFrom(
      ...['1', '23', '.5', 'x', 'y', '+', '-', '=', '<', '\\le', ',', ';', '(', ')', '[', ']', '{', '}'],
      ...[
        '\\{',
        '\\}',
        '|',
        '^',
        '_',
        '!',
        '%',
        '\\frac',
        '\\sqrt',
        '\\pm',
        '\\cup',
        '\\in',
        '\\text{ and }',
      ],
      ...[
        '\\text{cm}',
        '\\infty',
        '\\pi',
        '\\left',
        '\\right',
        '$',
        '\\boxed',
        '\\sin',
        '\\sum',
        '\\begin',
        ' ',
      ],
    ),
    { maxLength: 14 },
  )
  .map((pieces) => pieces.join(''));

describe('the same answer', () => {
  test('is one that is written the same, whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(soup, fc.string()), (text) => sameAnswer(text, text) && sameForm(text, text)),
    );
  });

  test('does not depend on which of two comes first', () => {
    fc.assert(
      fc.property(soup, soup, (left, right) => sameAnswer(left, right) === sameAnswer(right, left)),
      { numRuns: 1000 },
    );
  });

  test('does not depend on how LaTeX is spelt, or in which order is added and multiplied', () => {
    fc.assert(
      fc.property(expressions, (expression) => {
        const [first = '', ...others] = SPELLINGS.map((spelling) => write(expression, spelling));
        for (const other of others) expect(sameAnswer(first, other), `${first} and ${other}`).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('is not one that differs by a term or factor', () => {
    const [spelling] = SPELLINGS as [Spelling];
    fc.assert(
      fc.property(
        expressions,
        fc.constantFrom(' + 1', ' \\cdot 2', ' - \\pi', ' + x'),
        (expression, change) => {
          const text = write(expression, spelling);
          expect(sameAnswer(text, `${text}${change}`), `${text}${change}`).toBe(false);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('does not depend on the order of a list, but does on its elements', () => {
    const values = fc.uniqueArray(fc.integer({ min: -99, max: 99 }), { minLength: 2, maxLength: 8 });
    fc.assert(
      fc.property(values, fc.integer({ min: 100, max: 200 }), (list, other) => {
        const written = list.join(', ');
        expect(sameAnswer(written, `\\{${[...list].reverse().join(',')}\\}`)).toBe(true);
        expect(sameAnswer(written, [...list.slice(1), other].join(', '))).toBe(false);
      }),
    );
  });

  test('of an interval is its inequality, and no other one', () => {
    const ends = fc.uniqueArray(fc.integer({ min: -20, max: 20 }), { minLength: 2, maxLength: 2 });
    fc.assert(
      fc.property(ends, fc.boolean(), fc.boolean(), (pair, hasLow, hasHigh) => {
        const [low, high] = pair.sort((a, b) => a - b) as [number, number];
        const interval = `${hasLow ? '[' : '('}${low}, ${high}${hasHigh ? ']' : ')'}`;
        const inequality = `${low} ${hasLow ? '\\le' : '<'} x ${hasHigh ? '\\leq' : '<'} ${high}`;
        expect(sameAnswer(interval, inequality)).toBe(true);
        expect(sameAnswer(interval, inequality.replace(`${high}`, `${high + 1}`))).toBe(low === high + 1);
        expect(
          sameAnswer(interval, `${low} ${hasLow ? '<' : '\\le'} x ${hasHigh ? '\\leq' : '<'} ${high}`),
        ).toBe(false);
      }),
    );
  });

  test('of a whole number is none that differs from it, however it is grouped', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1000, max: 10 ** 9 }),
        fc.integer({ min: 1, max: 1000 }),
        (number, more) => {
          const grouped = number.toLocaleString('en');
          expect(sameAnswer(grouped, String(number))).toBe(true);
          expect(sameAnswer(grouped.replaceAll(',', '{,}'), `$${number}$`)).toBe(true);
          expect(sameAnswer(grouped, String(number + more))).toBe(false);
        },
      ),
    );
  });
});
