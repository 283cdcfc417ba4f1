/** Text of tokens as they come, one at a time. */
import type { DecodeOptions, Tokenizer } from './tokenizer.js';

export interface StreamDecoder {
  /** The text that became certain with this token; empty while a character is not complete. */
  push(id: number): string;
  /** What is left when no more tokens come: an incomplete character as U+FFFD. */
  end(): string;
}

/**
 * A decoder for one stream of tokens. The texts it gives, joined, are `tokenizer.decode` of all tokens.
 *
 * A token's text can depend on the one before it (SentencePiece's leading space) and a character can take
 * several tokens, so each step decodes from the last piece given out and gives out what is new, unless that
 * ends in an incomplete character.
 */
export function createStreamDecoder(tokenizer: Tokenizer, options: DecodeOptions = {}): StreamDecoder {
  let ids: number[] = [];
  /** Tokens at the start of `ids` whose text is already out; they are there for context. */
  let given = 0;

  function take(force: boolean): string {
    const before = tokenizer.decode(ids.slice(0, given), options);
    const now = tokenizer.decode(ids, options);
    if (now.endsWith('\uFFFD') && !force) return '';
    const text = now.slice(before.length);
    // Tokens without text (special ones that are skipped) must not become the only context.
    if (text !== '' || force) {
      ids = ids.slice(given);
      given = ids.length;
    }
    return text;
  }

  return {
    push(id) {
      ids.push(id);
      return take(false);
    },
    end() {
      return take(true);
    },
  };
}
