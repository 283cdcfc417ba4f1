/** What the inputs and outputs of an exported reward model are called. B rows, T tokens, C contexts, P their tokens. */

/** Token ids `[B, T]`, padded at the end. */
export const INPUT_IDS = 'input_ids';
/** How many of a row's tokens count `[B]`; the reward is read at the last of them. */
export const LENGTHS = 'lengths';
/** Tokens of each context `[C]`; the others of its P are padding. */
export const PREFIX_LENGTHS = 'prefix_lengths';
/** Which context each row goes on from `[B]`. */
export const PREFIX_INDEX = 'prefix_index';
/** `[B]` */
export const REWARDS = 'rewards';

/** Keys and values of the contexts, `[C, KV, P, hd]`; P may be 0. */
export const pastName = (layer: number, kind: 'key' | 'value') => `past_key_values.${layer}.${kind}`;
/** Those of the contexts followed by those of the rows, `[B, KV, P + T, hd]`. */
export const presentName = (layer: number, kind: 'key' | 'value') => `present.${layer}.${kind}`;
