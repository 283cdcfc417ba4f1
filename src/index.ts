/** The public API. */

export type { Message, PairRow, PreferencePair, TextPair, TokenPair } from './data/pairs.js';
