/** Nodes that are more than their parts put together. */
import type { MathNode, MathSequence } from './syntax.js';

export function tuple(items: MathNode[]): MathSequence {
  return { kind: 'sequence', open: '(', close: ')', items };
}

export function product(left: MathNode, right: MathNode): MathNode {
  return left.kind === 'product'
    ? { kind: 'product', factors: [...left.factors, right] }
    : { kind: 'product', factors: [left, right] };
}

export function primed(node: MathNode): MathNode {
  return { kind: 'call', name: "#'", of: [node] };
}

/** A derivative is not what its letters multiplied and divided give. */
export function fraction(over: MathNode, under: MathNode): MathNode {
  const isDifferential = (node: MathNode): boolean =>
    node.kind === 'product' && isDifferentialSign(node.factors[0] as MathNode);
  return isDifferential(under) && (isDifferential(over) || isDifferentialSign(over))
    ? { kind: 'call', name: '#derivative', of: [over, under] }
    : { kind: 'quotient', over, under };
}

function isDifferentialSign(node: MathNode): boolean {
  if (node.kind === 'power') return isDifferentialSign(node.base);
  return node.kind === 'symbol' && (node.name === 'd' || node.name === 'partial');
}
