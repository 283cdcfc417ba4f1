/** Values of expressions at points: numbers for their variables. */
import { algebra, type Complex } from './algebra.js';
import { MAX_STEPS } from './limits.js';
import type { MathNode } from './syntax.js';

/** A number, or the rows of a matrix. */
export type MathValue = Complex | Complex[][];

/** A number for each variable. */
export type Point = (name: string) => number;

/** What was evaluated, and how large what was added up on the way: differences far below that are rounding. */
export interface Evaluated {
  value: MathValue;
  scale: number;
}

/** Thrown where an expression has no value; it never leaves this folder. */
class NoValue extends Error {}

/** Steps that may still be taken; shared by all of one comparison. */
export interface Steps {
  left: number;
}

/**
 * The value of an expression at a point, as complex numbers in double precision. Angles in degrees count as such within
 * functions, and as bare numbers elsewhere. A function that nothing is known of has a value that depends on its name and
 * the values of its arguments alone, so that two expressions with it agree where they are the same in all the rest.
 *
 * @returns undefined where it has none: it is no expression, or takes too many steps
 */
export function evaluateAt(node: MathNode, point: Point, steps: Steps): Evaluated | undefined {
  const own = { left: Math.min(MAX_STEPS, steps.left) };
  const before = own.left;
  const evaluation = new Evaluation(point, own);
  try {
    return { value: evaluation.value(node), scale: evaluation.scale };
  } catch (error) {
    // Beside ours mathjs throws errors of several kinds for what it can't do: matrices that do not fit, functions that
    // complex numbers do not have.
    if (error instanceof Error) return undefined;
    throw error;
  } finally {
    steps.left -= before - own.left;
  }
}

/** Terms of a sum or product that are written out. */
const MAX_TERMS = 200;
/** Powers of matrices. */
const MAX_MATRIX_POWER = 16;

class Evaluation {
  /** Largest absolute value among the terms of sums. */
  scale = 0;
  readonly #point: Point;
  readonly #steps: Steps;
  readonly #bound = new Map<string, number>();
  #inFunction = false;

  constructor(point: Point, steps: Steps) {
    this.#point = point;
    this.#steps = steps;
  }

  value(node: MathNode): MathValue {
    if (--this.#steps.left < 0) throw new NoValue('too many steps');
    const math = algebra();
    switch (node.kind) {
      case 'number':
        return real(Number(`${node.digits}e${node.exponent}`));
      case 'symbol':
        return this.#symbol(node.name);
      case 'sum':
        return this.#sum(node.terms.map((term) => this.value(term)));
      case 'product':
        return node.factors
          .map((factor) => this.value(factor))
          .reduce((left, right) => math.multiply(left as Complex, right as Complex) as MathValue);
      case 'negative':
        return math.unaryMinus(this.value(node.of) as Complex);
      case 'quotient':
        return math.divide(this.value(node.over) as Complex, this.value(node.under) as Complex) as Complex;
      case 'power':
        return power(this.value(node.base), this.number(node.exponent));
      case 'percent':
        return math.divide(this.value(node.of) as Complex, 100) as Complex;
      case 'degrees':
        return math.multiply(this.value(node.of) as Complex, this.#inFunction ? Math.PI / 180 : 1) as Complex;
      case 'measure':
        return this.value(node.of);
      case 'matrix':
        return node.rows.map((row) => row.map((element) => this.number(element)));
      case 'ratio':
        return node.parts
          .map((part) => this.number(part))
          .reduce((left, right) => math.divide(left, right) as Complex);
      case 'call':
        return this.#call(node.name, node.of);
      default:
        throw new NoValue(`${node.kind} has no value`);
    }
  }

  number(node: MathNode): Complex {
    const value = this.value(node);
    if (Array.isArray(value)) throw new NoValue('a matrix where a number is expected');
    return value;
  }

  #symbol(name: string): Complex {
    const bound = this.#bound.get(name);
    if (bound !== undefined) return real(bound);
    switch (name) {
      case 'pi':
        return real(Math.PI);
      case 'e':
        return real(Math.E);
      case 'i':
        return algebra().complex(0, 1);
      case 'infinity':
      case 'reals':
      case 'empty':
        throw new NoValue(`${name} is no number`);
      default:
        return real(this.#point(name));
    }
  }

  #sum(terms: MathValue[]): MathValue {
    for (const term of terms) this.scale = Math.max(this.scale, magnitude(term));
    return terms.reduce((left, right) => algebra().add(left as Complex, right as Complex) as MathValue);
  }

  #call(name: string, nodes: readonly MathNode[]): MathValue {
    if (name.startsWith('#')) return this.#unknown(name, nodes);
    const outside = this.#inFunction;
    this.#inFunction = true;
    const [first, ...others] = nodes.map((node) => this.value(node));
    this.#inFunction = outside;
    if (first === undefined) throw new NoValue(`${name} has no argument`);
    if (name === 'det') return toComplex(algebra().det(first as never));
    if ([first, ...others].some(Array.isArray)) throw new NoValue(`${name} of a matrix`);
    return toComplex(knownFunction(name, first as Complex, others as Complex[]));
  }

  #unknown(name: string, nodes: readonly MathNode[]): Complex {
    const [low, high, body] = nodes;
    const series = /^#(sum|prod) (\S+)$/.exec(name);
    if (series !== null && low !== undefined && high !== undefined && body !== undefined) {
      const [from, to] = [this.number(low), this.number(high)];
      if (isWholeNumber(from) && isWholeNumber(to) && to.re - from.re < MAX_TERMS) {
        return this.#series(series[1] === 'sum', series[2] as string, from.re, to.re, body);
      }
    }
    const values = nodes.map((node) => this.value(node));
    return real(0.5 + 2 * hashShare(`${name}(${values.map(rounded).join(';')})`));
  }

  #series(adds: boolean, variable: string, from: number, to: number, body: MathNode): Complex {
    const math = algebra();
    const before = this.#bound.get(variable);
    let result = real(adds ? 0 : 1);
    for (let i = from; i <= to; i++) {
      this.#bound.set(variable, i);
      const value = this.number(body);
      result = (adds ? math.add(result, value) : math.multiply(result, value)) as Complex;
    }
    if (before === undefined) this.#bound.delete(variable);
    else this.#bound.set(variable, before);
    return result;
  }
}

function real(value: number): Complex {
  return algebra().complex(value, 0);
}

function toComplex(value: unknown): Complex {
  if (typeof value === 'number') return real(value);
  if (typeof value === 'object' && value !== null && 're' in value && 'im' in value) return value as Complex;
  throw new NoValue('the result is no number');
}

function isWholeNumber({ re, im }: Complex): boolean {
  return im === 0 && Number.isSafeInteger(re);
}

function power(base: MathValue, exponent: Complex): MathValue {
  if (!Array.isArray(base)) return algebra().pow(base, exponent) as Complex;
  if (!isWholeNumber(exponent) || exponent.re < 0 || exponent.re > MAX_MATRIX_POWER) {
    throw new NoValue('a power of a matrix');
  }
  return algebra().pow(base as never, exponent.re) as unknown as Complex[][];
}

function knownFunction(name: string, x: Complex, others: readonly Complex[]): unknown {
  const math = algebra();
  const [y] = others;
  switch (name) {
    case 'sqrt':
      return math.sqrt(x);
    case 'root':
      return root(x, y ?? real(2));
    case 'abs':
      return math.abs(x);
    case 'exp':
      return math.exp(x);
    case 'ln':
      return math.log(x);
    case 'log':
      return math.divide(math.log(x), y === undefined ? Math.LN10 : math.log(y));
    case 'factorial':
      return gamma(x);
    case 'binomial':
      return math.divide(
        gamma(x),
        math.multiply(gamma(y ?? x), gamma(math.subtract(x, y ?? x) as Complex)) as Complex,
      );
    case 'mod':
      return math.mod(realOf(x), realOf(y ?? x));
    case 'gcd':
      return math.gcd(realOf(x), ...others.map(realOf));
    case 'lcm':
      return math.lcm(realOf(x), realOf(y ?? x));
    case 'max':
      return Math.max(realOf(x), ...others.map(realOf));
    case 'min':
      return Math.min(realOf(x), ...others.map(realOf));
    default:
      return ofComplex(name, x);
  }
}

type ComplexFunction = (x: Complex) => unknown;

/** Trigonometric and hyperbolic functions and their inverses, which mathjs has under these names. */
function ofComplex(name: string, x: Complex): unknown {
  if (!/^a?(?:sin|cos|tan|sec|csc|cot)h?$/.test(name)) throw new NoValue(`${name} is not known`);
  return (algebra() as unknown as Record<string, ComplexFunction>)[name]?.(x);
}

/** `x!` for all numbers. */
function gamma(x: Complex): Complex {
  return toComplex(algebra().gamma(algebra().add(x, 1) as never));
}

/** The real root where there is one. */
function root(x: Complex, degree: Complex): Complex {
  const math = algebra();
  const isOdd = degree.im === 0 && Math.abs(degree.re % 2) === 1;
  const inverse = math.divide(1, degree) as Complex;
  if (x.im === 0 && x.re < 0 && isOdd) {
    return math.unaryMinus(math.pow(math.complex(-x.re, 0), inverse) as Complex);
  }
  return math.pow(x, inverse) as Complex;
}

function realOf({ re, im }: Complex): number {
  if (im !== 0) throw new NoValue('a complex number where a real one is expected');
  return re;
}

function magnitude(value: MathValue): number {
  return Array.isArray(value) ? Math.max(...value.flat().map(magnitude)) : Math.hypot(value.re, value.im);
}

/** Digits that do not depend on the order in which something was added up. */
function rounded(value: MathValue): string {
  if (Array.isArray(value)) return value.map((row) => row.map(rounded).join()).join('|');
  const part = (x: number) => String(Number((x + 0).toPrecision(8)));
  return `${part(value.re)},${part(Math.abs(value.im) < 1e-12 * Math.abs(value.re) ? 0 : value.im)}`;
}

/** A share in [0, 1) that looks random (FNV-1a, then murmur3's finalizer). */
export function hashShare(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
