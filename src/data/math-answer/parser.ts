/** Reads a written answer: LaTeX, plain text as people type it, and mixtures of both. */
import { fraction, primed, product, tuple } from './build-nodes.js';
import { type Token, tokensOf, Unreadable } from './lexer.js';
import { MAX_ANSWER_CHARACTERS, MAX_ITEMS } from './limits.js';
import type { MathNode, RelationOperator, SetOperator } from './syntax.js';
import { TokenReader } from './token-reader.js';

const RELATIONS: readonly string[] = ['=', '~', '!=', '<', '>', '<=', '>=', 'in', 'other'];
const SET_OPERATORS: readonly string[] = ['union', 'intersection', 'difference'];
/** Functions whose argument may do without brackets: `sin 2t`. */
const IMPLICIT_ARGUMENT = /^(?:a?(?:sin|cos|tan|sec|csc|cot)h?|ln|log|exp)$/;
/** Letters that stand for a function rather than a factor where a bracket follows. */
const FUNCTION_LETTERS = /^[fghFGH]'*$/;
const MATRICES = /^(?:[pbBvV]?matrix|smallmatrix|array)\*?$/;

/**
 * What an answer says; undefined where it is not mathematics, or too long or too deep (`limits.ts`).
 *
 * Sloppy writing is read as it is meant: `\frac12`, `\sqrt3`, `x^12`, `1\frac{1}{2}` as a mixed number, words behind a
 * value as its unit, `and` and `or` as commas. Semicolons part what commas hold together.
 */
export function parseAnswer(answer: string): MathNode | undefined {
  if (answer.length > MAX_ANSWER_CHARACTERS) return undefined;
  try {
    return new Parser(tokensOf(answer)).parse();
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

class Parser extends TokenReader {
  /** Bars of absolute values that are open. */
  #bars = 0;

  parse(): MathNode {
    while (this.isMark('.', ',', ';', ':')) this.at++;
    for (;;) {
      const last = this.tokens.at(-1);
      if (last?.type !== 'mark' || !['.', ',', ';', ':', '\\\\'].includes(last.mark)) break;
      this.tokens.pop();
    }
    const groups = this.#groups();
    if (this.at < this.tokens.length) throw new Unreadable('something is left over');
    const tuples = groups.map((items) => (items.length === 1 ? (items[0] as MathNode) : tuple(items)));
    if (groups.length > 1) return { kind: 'sequence', open: '', close: '', items: tuples };
    const [items = []] = groups;
    return items.length === 1 ? (items[0] as MathNode) : { kind: 'sequence', open: '', close: '', items };
  }

  /** Relations parted by commas, in groups parted by semicolons. */
  #groups(): MathNode[][] {
    const groups: MathNode[][] = [[]];
    for (;;) {
      (groups.at(-1) as MathNode[]).push(this.#relation());
      if (!this.isMark(',', ';')) break;
      let parts = false;
      while (this.isMark(',', ';')) parts = this.take(';') || !this.take(',') || parts;
      if (this.isAtEnd()) break;
      if (parts) groups.push([]);
      if (groups.flat().length >= MAX_ITEMS) throw new Unreadable('too many elements');
    }
    return groups;
  }

  #relation(): MathNode {
    return this.within(() => {
      const sides = [this.#sets()];
      const operators: RelationOperator[] = [];
      for (;;) {
        const token = this.peek();
        if (token?.type !== 'mark' || !RELATIONS.includes(token.mark)) break;
        this.at++;
        operators.push(token.mark as RelationOperator);
        sides.push(this.#sets());
      }
      return sides.length === 1 ? (sides[0] as MathNode) : { kind: 'relation', sides, operators };
    });
  }

  #sets(): MathNode {
    let left = this.#ratio();
    for (;;) {
      const token = this.peek();
      if (token?.type !== 'mark' || !SET_OPERATORS.includes(token.mark)) return left;
      this.at++;
      const operator = token.mark as SetOperator;
      const right = this.#ratio();
      left =
        left.kind === 'sets' && left.operator === operator && operator !== 'difference'
          ? { ...left, parts: [...left.parts, right] }
          : { kind: 'sets', operator, parts: [left, right] };
    }
  }

  #ratio(): MathNode {
    const parts = [this.#sum()];
    while (this.take(':')) parts.push(this.#sum());
    return parts.length === 1 ? (parts[0] as MathNode) : { kind: 'ratio', parts };
  }

  #sum(): MathNode {
    return this.within(() => {
      const terms = [this.#signedTerm()];
      for (;;) {
        if (this.take('+')) terms.push(this.#term());
        else if (this.take('-')) terms.push({ kind: 'negative', of: this.#term() });
        else if (this.take('+-')) terms.push({ kind: 'plus-minus', of: this.#term(), upper: 1 });
        else if (this.take('-+')) terms.push({ kind: 'plus-minus', of: this.#term(), upper: -1 });
        else break;
      }
      return terms.length === 1 ? (terms[0] as MathNode) : { kind: 'sum', terms };
    });
  }

  #signedTerm(): MathNode {
    return this.within(() => {
      if (this.take('+')) return this.#signedTerm();
      if (this.take('-')) return { kind: 'negative', of: this.#signedTerm() };
      if (this.take('+-')) return { kind: 'plus-minus', of: this.#signedTerm(), upper: 1 };
      if (this.take('-+')) return { kind: 'plus-minus', of: this.#signedTerm(), upper: -1 };
      return this.#term();
    });
  }

  #term(): MathNode {
    let left = this.#factor();
    for (;;) {
      if (this.take('*')) left = product(left, this.#signedFactor());
      else if (this.take('/')) left = { kind: 'quotient', over: left, under: this.#signedFactor() };
      else if (this.peekCommand('bmod')) {
        this.at++;
        left = { kind: 'call', name: 'mod', of: [left, this.#signedFactor()] };
      } else if (this.peek()?.type === 'text') left = this.#measure(left);
      else if (this.#beginsFactor()) left = this.#juxtaposed(left);
      else return left;
    }
  }

  /** `15 \text{ cm}^2`, `3 \mathrm{m}/\mathrm{s}`. */
  #measure(of: MathNode): MathNode {
    let unit = (this.next() as { text: string }).text;
    for (;;) {
      const isJoined = this.isMark('/', '*') && this.tokens[this.at + 1]?.type === 'text';
      if (isJoined) unit += (this.next() as { mark: string }).mark;
      if (this.peek()?.type === 'text')
        unit += `${isJoined ? '' : ' '}${(this.next() as { text: string }).text}`;
      else if (this.take('^')) unit += `^${this.#describe(this.#argument())}`;
      else return { kind: 'measure', of, unit };
    }
  }

  #describe(node: MathNode): string {
    if (node.kind === 'negative') return `-${this.#describe(node.of)}`;
    return node.kind === 'number' ? node.digits : '?';
  }

  /** What stands behind a factor without a sign between: a product, or the fraction of a mixed number. */
  #juxtaposed(left: MathNode): MathNode {
    const right = this.#factor();
    const isWhole = left.kind === 'number' && /^\d+$/.test(left.digits) && left.exponent === 0;
    const isFraction =
      right.kind === 'quotient' && right.over.kind === 'number' && right.under.kind === 'number';
    return isWhole && isFraction ? { kind: 'sum', terms: [left, right] } : product(left, right);
  }

  #beginsFactor(): boolean {
    const token = this.peek();
    if (token === undefined || token.type === 'end' || token.type === 'text') return false;
    if (token.type === 'command') return token.name !== 'bmod';
    if (token.type !== 'mark') return true;
    if (token.mark === '|') return this.#bars === 0;
    return ['(', '[', '{', '\\{'].includes(token.mark);
  }

  #signedFactor(): MathNode {
    return this.within(() => {
      if (this.take('-')) return { kind: 'negative', of: this.#signedFactor() };
      if (this.take('+')) return this.#signedFactor();
      return this.#factor();
    });
  }

  #factor(): MathNode {
    return this.within(() => {
      let base = this.#base();
      for (;;) {
        if (this.take('!')) base = { kind: 'call', name: 'factorial', of: [base] };
        else if (this.take('%')) base = { kind: 'percent', of: base };
        else if (this.take("'")) base = primed(base);
        else if (this.take('^')) base = this.#power(base);
        else return base;
      }
    });
  }

  #power(base: MathNode): MathNode {
    if (this.isMark("'") || this.#isPrimes()) {
      this.#primes();
      return primed(base);
    }
    const exponent = this.#exponent();
    if (exponent.kind === 'symbol' && exponent.name === 'circ') return { kind: 'degrees', of: base };
    return { kind: 'power', base, exponent };
  }

  /** `^{\prime}`, `^{\prime \prime}`. */
  #isPrimes(): boolean {
    const next = this.tokens[this.at + 1];
    return this.isMark('{') && next?.type === 'mark' && next.mark === "'";
  }

  #primes(): void {
    const braced = this.take('{');
    while (this.take("'"));
    if (braced) this.expect('}');
  }

  /** Right of `^`: all the digits that stand there, and a further power first. */
  #exponent(): MathNode {
    return this.within(() => {
      if (this.take('-')) return { kind: 'negative', of: this.#exponent() };
      if (this.take('+')) return this.#exponent();
      const base = this.isMark('{') ? this.#group() : this.#base();
      return this.take('^') ? { kind: 'power', base, exponent: this.#exponent() } : base;
    });
  }

  #base(): MathNode {
    const token = this.next();
    switch (token.type) {
      case 'number':
        return this.#number(token);
      case 'symbol':
        return this.#symbol(token.name);
      case 'function':
        return this.#function(token.name);
      case 'text':
        return this.#text(token.text);
      case 'command':
        return this.#command(token.name);
      case 'begin':
        return this.#environment(token.name);
      case 'end':
        throw new Unreadable('an environment ends that has not begun');
      case 'mark':
        return this.#bracketed(token.mark);
    }
  }

  #number({ digits, exponent }: Token & { type: 'number' }): MathNode {
    if (/^\w+$/.test(digits) && this.isMark('_')) {
      this.at++;
      return { kind: 'based', digits, base: this.#subscript() };
    }
    return { kind: 'number', digits, exponent };
  }

  #text(text: string): MathNode {
    let all = text;
    while (this.peek()?.type === 'text') all += ` ${(this.next() as { text: string }).text}`;
    return { kind: 'text', text: all };
  }

  #symbol(letter: string): MathNode {
    let name = letter;
    while (this.take("'")) name += "'";
    if (this.take('_')) {
      const start = this.at;
      const subscript = this.#subscript();
      if (subscript.includes('?')) {
        // An index that is computed: x_{n+1} is what a name gives for a value.
        this.at = start;
        return { kind: 'call', name: `#${name}_`, of: [this.#argument()] };
      }
      name += `_${subscript}`;
    }
    if (FUNCTION_LETTERS.test(name) && this.isMark('(')) {
      return { kind: 'call', name: `#${name}`, of: this.#brackets() };
    }
    return { kind: 'symbol', name };
  }

  /** As text; with `?` in it where it is more than letters and digits. */
  #subscript(): string {
    const braced = this.take('{');
    let text = '';
    do {
      const token = this.next();
      if (token.type === 'number') text += token.digits;
      else if (token.type === 'symbol' || token.type === 'function') text += token.name;
      else if (token.type === 'text') text += token.text;
      else if (token.type === 'mark' && token.mark === '}') {
        if (braced) return text;
        throw new Unreadable('a subscript is missing');
      } else text += '?';
    } while (braced);
    return text;
  }

  #function(name: string): MathNode {
    let exponent: MathNode | undefined;
    let base: MathNode | undefined;
    for (;;) {
      if (this.take('_')) base = this.#argument();
      else if (this.take('^')) exponent = this.#exponent();
      else break;
    }
    const of = this.#arguments(name);
    const isInverse =
      exponent?.kind === 'negative' && exponent.of.kind === 'number' && exponent.of.digits === '1';
    if (isInverse && /^(?:sin|cos|tan|cot|sec|csc)$/.test(name))
      return { kind: 'call', name: `a${name}`, of };
    const call: MathNode = { kind: 'call', name, of: base === undefined ? of : [...of, base] };
    return exponent === undefined ? call : { kind: 'power', base: call, exponent };
  }

  #arguments(name: string): MathNode[] {
    if (this.isMark('(', '[')) return this.#brackets();
    if (this.isMark('{')) return [this.#group()];
    if (!IMPLICIT_ARGUMENT.test(name)) throw new Unreadable(`${name} has no argument`);
    let argument = this.#factor();
    // sin 2 pi t, but not sin b cos a.
    while (this.#beginsFactor() && this.peek()?.type !== 'function' && !this.isMark('(', '[')) {
      argument = product(argument, this.#factor());
    }
    return [argument];
  }

  #command(name: string): MathNode {
    switch (name) {
      case 'frac':
        return fraction(this.#argument(), this.#argument());
      case 'binom':
        return { kind: 'call', name: 'binomial', of: [this.#argument(), this.#argument()] };
      case 'sqrt':
        return this.#root();
      case 'sum':
      case 'prod':
      case 'int':
      case 'lim':
        return this.#bounded(name);
      default:
        throw new Unreadable(`${name} stands by itself`);
    }
  }

  #root(): MathNode {
    if (!this.isMark('[')) return { kind: 'call', name: 'sqrt', of: [this.#argument()] };
    this.at++;
    const degree = this.#sum();
    this.expect(']');
    return { kind: 'call', name: 'root', of: [this.#argument(), degree] };
  }

  /** A sum, product, integral or limit: `[bounds..., body]`, with the bound variable in the name. */
  #bounded(name: string): MathNode {
    let variable = '';
    const bounds: MathNode[] = [];
    for (;;) {
      if (this.take('_')) {
        const low = this.isMark('{') ? this.#relationGroup() : this.#argument();
        if (low.kind === 'relation' && low.sides[0]?.kind === 'symbol') {
          variable = low.sides[0].name;
          bounds.unshift(...low.sides.slice(1));
        } else bounds.unshift(low);
      } else if (this.take('^')) bounds.push(this.#exponent());
      else break;
    }
    return { kind: 'call', name: `#${name} ${variable}`, of: [...bounds, this.#term()] };
  }

  #relationGroup(): MathNode {
    this.expect('{');
    const inner = this.#relation();
    this.expect('}');
    return inner;
  }

  /** What a command takes: a group, or the one digit or symbol that stands there. */
  #argument(): MathNode {
    return this.within(() => {
      if (this.isMark('{')) return this.#group();
      const token = this.peek();
      if (token?.type === 'number' && /^\d{2,}$/.test(token.digits)) {
        this.tokens[this.at] = { ...token, digits: token.digits.slice(1) };
        return { kind: 'number', digits: token.digits[0] as string, exponent: 0 };
      }
      if (token?.type === 'symbol') {
        this.at++;
        return { kind: 'symbol', name: token.name };
      }
      return this.#base();
    });
  }

  /** Braces that are not seen: what is parted by commas between them is a list. */
  #group(): MathNode {
    return this.within(() => {
      this.expect('{');
      const bars = this.#bars;
      this.#bars = 0;
      const items = this.#groups().flat();
      this.#bars = bars;
      this.expect('}');
      if (items.length === 1) return items[0] as MathNode;
      return { kind: 'sequence', open: '', close: '', items };
    });
  }

  #bracketed(mark: string): MathNode {
    return this.within(() => {
      switch (mark) {
        case '(':
        case '[':
          return this.#sequence(mark);
        case '{':
          this.at--;
          return this.#group();
        case '\\{':
          return this.#set();
        case '|':
          return this.#absolute();
        default:
          throw new Unreadable(`${mark} is not expected`);
      }
    });
  }

  #sequence(open: '(' | '['): MathNode {
    const bars = this.#bars;
    this.#bars = 0;
    const items = this.#groups().flat();
    this.#bars = bars;
    const close = this.take(')') ? ')' : this.take(']') ? ']' : undefined;
    if (close === undefined) throw new Unreadable('a bracket is not closed');
    if (items.length > 1) return { kind: 'sequence', open, close, items };
    if ((open === '(') !== (close === ')')) throw new Unreadable('brackets do not match');
    return items[0] as MathNode;
  }

  #brackets(): MathNode[] {
    const inner = this.#bracketed((this.next() as { mark: string }).mark);
    return inner.kind === 'sequence' && inner.open === '(' ? inner.items : [inner];
  }

  #set(): MathNode {
    const items = this.isMark('\\}') ? [] : this.#groups().flat();
    this.expect('\\}');
    if (items.length === 0) return { kind: 'symbol', name: 'empty' };
    return { kind: 'sequence', open: '{', close: '}', items };
  }

  #absolute(): MathNode {
    this.#bars++;
    const inner = this.#sum();
    this.expect('|');
    this.#bars--;
    return { kind: 'call', name: 'abs', of: [inner] };
  }

  #environment(name: string): MathNode {
    if (!MATRICES.test(name)) throw new Unreadable(`${name} is no matrix`);
    if (name === 'array' && this.isMark('{')) this.#skipGroup();
    const rows: MathNode[][] = [[]];
    while (this.peek()?.type !== 'end') {
      if (this.take('\\\\')) rows.push([]);
      else if (!this.take('&')) (rows.at(-1) as MathNode[]).push(this.#sum());
      if (rows.flat().length > MAX_ITEMS) throw new Unreadable('too many elements');
    }
    this.at++;
    const filled = rows.filter((row) => row.length > 0);
    const width = filled[0]?.length ?? 0;
    if (width === 0 || filled.some((row) => row.length !== width)) {
      throw new Unreadable('rows of a matrix differ in length');
    }
    const matrix: MathNode = { kind: 'matrix', rows: filled };
    return name.startsWith('v') ? { kind: 'call', name: 'det', of: [matrix] } : matrix;
  }

  #skipGroup(): void {
    while (!this.take('}')) this.next();
  }
}
