/** Equations and inequalities. */
import { evaluateAt } from './evaluate.js';
import { type ComparisonContext, pointOf, sameExpression } from './same-expression.js';
import { contains, isClosed, type MathNode, type MathRelation, type RelationOperator } from './syntax.js';

/**
 * What an answer comes down to: of `x = 5`, `f(x) = 5`, `(p, q) = (3, 2)`, `x \in [0, 1]` and `x = 2 + 3 = 5` what stands
 * right of the name; other equations and inequalities are left as they are. Of `x = \frac13 \approx 0.33` it is the exact
 * value.
 */
export function conclusionOf(node: MathNode): MathNode {
  if (node.kind !== 'relation') return node;
  const { sides, operators } = node;
  const [first] = sides as [MathNode];
  const last = sides.at(-1) as MathNode;
  if (operators.length === 1 && operators[0] === 'in') return isName(first) ? last : node;
  if (!operators.every((operator) => operator === '=' || operator === '~')) return node;
  const exact = operators.lastIndexOf('=');
  const value = sides[exact === -1 ? sides.length - 1 : exact + 1] as MathNode;
  if (sides.length > 2 || isName(first) || (isClosed(first) && isClosed(last))) return conclusionOf(value);
  return isName(last) && isClosed(first) ? first : node;
}

/** Whether it is what values are called: `x`, `f(x)`, `|AB|`, `(p, q)`, `S_1 : S`, `\frac{NO}{BO}`. */
function isName(node: MathNode): boolean {
  switch (node.kind) {
    case 'symbol':
      return !isClosed(node) || node.name === 'e' || node.name === 'i';
    case 'text':
      return true;
    case 'call':
      return node.name.startsWith('#') || (node.name === 'abs' && node.of.every(isName));
    case 'product':
      return node.factors.every(isName);
    case 'quotient':
      return isName(node.over) && isName(node.under);
    case 'ratio':
      return node.parts.every(isName);
    case 'sequence':
      return node.items.every(isName);
    case 'power':
      return isName(node.base) && isClosed(node.exponent) && node.base.kind !== 'product';
    default:
      return false;
  }
}

/**
 * Whether two relations say the same: side by side, or because the differences of their sides are the same but for a
 * factor (`2x + 4y = 3` and `y = -x/2 + 3/4`; `x < 1` and `-x > -1`).
 */
export function sameRelation(left: MathRelation, right: MathRelation, context: ComparisonContext): boolean {
  if (left.sides.length !== right.sides.length) return false;
  if (sameSides(left, right, context) || sameSides(left, turned(right), context)) return true;
  if (left.sides.length > 2) return false;
  const [a, b] = [normalForm(left), normalForm(right)];
  if (a === undefined || b === undefined || a.operator !== b.operator) return false;
  return sameButForFactor(a, b, context);
}

const TURNED: Readonly<Partial<Record<RelationOperator, RelationOperator>>> = {
  '<': '>',
  '>': '<',
  '<=': '>=',
  '>=': '<=',
};

function turned({ sides, operators }: MathRelation): MathRelation {
  return {
    kind: 'relation',
    sides: [...sides].reverse(),
    operators: operators.map((operator) => TURNED[operator] ?? operator).reverse(),
  };
}

function sameSides(left: MathRelation, right: MathRelation, context: ComparisonContext): boolean {
  return (
    left.operators.every((operator, index) => operator === right.operators[index]) &&
    left.sides.every((side, index) => {
      const other = right.sides[index] as MathNode;
      return sameExpression(side, other, context) || JSON.stringify(side) === JSON.stringify(other);
    })
  );
}

/** `difference operator 0`, where the operator is one of `=`, `!=`, `<` and `<=`. */
interface NormalForm {
  difference: MathNode;
  operator: '=' | '!=' | '<' | '<=';
}

function normalForm(relation: MathRelation): NormalForm | undefined {
  const [operator] = relation.operators;
  if (operator === '>' || operator === '>=') return normalForm(turned(relation));
  if (operator !== '=' && operator !== '!=' && operator !== '<' && operator !== '<=') return undefined;
  const [left, right] = relation.sides as [MathNode, MathNode];
  return { difference: { kind: 'sum', terms: [left, { kind: 'negative', of: right }] }, operator };
}

/** Of differences that vary: `1 = 2` and `3 = 4` are both wrong, and not the same. */
function sameButForFactor(left: NormalForm, right: NormalForm, context: ComparisonContext): boolean {
  if (isClosed(left.difference) || isClosed(right.difference)) return false;
  const factors: number[] = [];
  const signs = contains(left.difference, isAbsolute) || contains(right.difference, isAbsolute) ? -1 : 1;
  for (let index = 0; index < 5; index++) {
    const [a, b] = [left, right].map(
      ({ difference }) => evaluateAt(difference, pointOf(index, signs), context.steps)?.value,
    );
    if (a === undefined || b === undefined || Array.isArray(a) || Array.isArray(b)) return false;
    if (Math.abs(a.im) > 1e-9 || Math.abs(b.im) > 1e-9 || !(Math.abs(b.re) > 1e-9)) return false;
    factors.push(a.re / b.re);
  }
  const [first = 0] = factors;
  const isUneven = left.operator === '<' || left.operator === '<=';
  if (first === 0 || !Number.isFinite(first) || (isUneven && first < 0)) return false;
  return factors.every((factor) => Math.abs(factor - first) <= 1e-9 * Math.abs(first));
}

function isAbsolute(node: MathNode): boolean {
  return node.kind === 'call' && node.name === 'abs';
}
