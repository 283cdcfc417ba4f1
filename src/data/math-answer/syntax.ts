/** What a written answer is read as. */

export type MathNode =
  /** `12.50`, with a power of ten behind it (`1e5`) or 0. */
  | { kind: 'number'; digits: string; exponent: number }
  /** A variable or constant: `x`, `x_1`, `alpha`, `pi`, `infinity`. */
  | { kind: 'symbol'; name: string }
  | { kind: 'sum'; terms: MathNode[] }
  | { kind: 'negative'; of: MathNode }
  | { kind: 'product'; factors: MathNode[] }
  | { kind: 'quotient'; over: MathNode; under: MathNode }
  | { kind: 'power'; base: MathNode; exponent: MathNode }
  /** A function that is known, or a name that nothing is known of. */
  | { kind: 'call'; name: string; of: MathNode[] }
  /** `+-of`, or `-+of` where `upper` is -1; behind another term it stands in a sum. */
  | { kind: 'plus-minus'; of: MathNode; upper: 1 | -1 }
  | { kind: 'percent'; of: MathNode }
  | { kind: 'degrees'; of: MathNode }
  /** Digits in a base: `204_5`. */
  | { kind: 'based'; digits: string; base: string }
  /** A value and the words behind it. */
  | { kind: 'measure'; of: MathNode; unit: string }
  | { kind: 'text'; text: string }
  | MathSequence
  | { kind: 'sets'; operator: SetOperator; parts: MathNode[] }
  | { kind: 'matrix'; rows: MathNode[][] }
  | { kind: 'ratio'; parts: MathNode[] }
  | MathRelation;

/** A list (no brackets), a set (braces), a tuple or an interval. */
export interface MathSequence {
  kind: 'sequence';
  open: '' | '{' | '(' | '[';
  close: '' | '}' | ')' | ']';
  items: MathNode[];
}

export interface MathRelation {
  kind: 'relation';
  /** One more than there are operators. */
  sides: MathNode[];
  operators: RelationOperator[];
}

export type SetOperator = 'union' | 'intersection' | 'difference';

export type RelationOperator = '=' | '~' | '!=' | '<' | '>' | '<=' | '>=' | 'in' | 'other';

/** The nodes directly within a node. */
export function childrenOf(node: MathNode): readonly MathNode[] {
  switch (node.kind) {
    case 'number':
    case 'symbol':
    case 'based':
    case 'text':
      return [];
    case 'sum':
      return node.terms;
    case 'product':
      return node.factors;
    case 'negative':
    case 'plus-minus':
    case 'percent':
    case 'degrees':
    case 'measure':
      return [node.of];
    case 'quotient':
      return [node.over, node.under];
    case 'power':
      return [node.base, node.exponent];
    case 'call':
      return node.of;
    case 'sequence':
      return node.items;
    case 'sets':
    case 'ratio':
      return node.parts;
    case 'matrix':
      return node.rows.flat();
    case 'relation':
      return node.sides;
  }
}

/** The node with every node directly within it replaced. */
export function mapChildren(node: MathNode, map: (child: MathNode) => MathNode): MathNode {
  switch (node.kind) {
    case 'number':
    case 'symbol':
    case 'based':
    case 'text':
      return node;
    case 'sum':
      return { ...node, terms: node.terms.map(map) };
    case 'product':
      return { ...node, factors: node.factors.map(map) };
    case 'negative':
    case 'plus-minus':
    case 'percent':
    case 'degrees':
    case 'measure':
      return { ...node, of: map(node.of) };
    case 'quotient':
      return { ...node, over: map(node.over), under: map(node.under) };
    case 'power':
      return { ...node, base: map(node.base), exponent: map(node.exponent) };
    case 'call':
      return { ...node, of: node.of.map(map) };
    case 'sequence':
      return { ...node, items: node.items.map(map) };
    case 'sets':
    case 'ratio':
      return { ...node, parts: node.parts.map(map) };
    case 'matrix':
      return { ...node, rows: node.rows.map((row) => row.map(map)) };
    case 'relation':
      return { ...node, sides: node.sides.map(map) };
  }
}

/** Whether the node or one within it is of that kind, or passes the test. */
export function contains(node: MathNode, test: (node: MathNode) => boolean): boolean {
  return test(node) || childrenOf(node).some((child) => contains(child, test));
}

const CONSTANTS: readonly string[] = ['pi', 'e', 'i', 'infinity', 'reals', 'empty'];

/** Whether nothing in it can vary. */
export function isClosed(node: MathNode): boolean {
  return !contains(
    node,
    (each) =>
      (each.kind === 'symbol' && !CONSTANTS.includes(each.name)) ||
      (each.kind === 'call' && !each.name.startsWith('#') && each.of.length === 0),
  );
}
