/** Stands in for the tokenizer of a model that has none: rows of token ids need no more than the vocabulary's size. */

import { ConfigError } from '../errors.js';
import type { Tokenizer } from './tokenizer.js';

/**
 * A tokenizer for rows of token ids only.
 *
 * @throws ConfigError from everything that takes or gives text.
 */
export function idsOnlyTokenizer(name: string, vocabSize: number, bosTokenId: number | null): Tokenizer {
  const refuse = (): never => {
    throw new ConfigError(
      `${name} has no tokenizer, so rows must hold token ids (prompt_ids, chosen_ids, rejected_ids)`,
    );
  };
  return {
    vocabSize,
    bosTokenId,
    eosTokenId: null,
    padTokenId: null,
    unkTokenId: null,
    stopTokenIds: [],
    specialTokenIds: new Set(),
    get chatTemplate() {
      return refuse();
    },
    fingerprint: `ids below ${vocabSize}`,
    encode: refuse,
    encodeContinuation: refuse,
    decode: refuse,
    tokenToId: refuse,
    idToToken: refuse,
  };
}
