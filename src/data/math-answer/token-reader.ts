/** Goes through the parts of an answer. */
import { type Token, Unreadable } from './lexer.js';
import { MAX_DEPTH } from './limits.js';
import type { MathNode } from './syntax.js';

export class TokenReader {
  protected readonly tokens: Token[];
  protected at = 0;
  #depth = 0;

  constructor(tokens: Token[]) {
    this.tokens = tokens;
  }

  protected isAtEnd(): boolean {
    return this.at >= this.tokens.length || this.isMark(')', ']', '}', '\\}');
  }

  protected peek(): Token | undefined {
    return this.tokens[this.at];
  }

  protected peekCommand(name: string): boolean {
    const token = this.peek();
    return token?.type === 'command' && token.name === name;
  }

  protected next(): Token {
    const token = this.tokens[this.at++];
    if (token === undefined) throw new Unreadable('it ends too early');
    return token;
  }

  protected isMark(...marks: string[]): boolean {
    const token = this.peek();
    return token?.type === 'mark' && marks.includes(token.mark);
  }

  protected take(mark: string): boolean {
    const is = this.isMark(mark);
    if (is) this.at++;
    return is;
  }

  protected expect(mark: string): void {
    if (!this.take(mark)) throw new Unreadable(`${mark} is missing`);
  }

  /** Keeps count of how deep it goes: what is too deep would exhaust the stack. */
  protected within<Result extends MathNode>(read: () => Result): Result {
    // A level of brackets goes through several of these.
    if (++this.#depth > MAX_DEPTH * 8) throw new Unreadable('it is nested too deeply');
    const result = read();
    this.#depth--;
    return result;
  }
}
