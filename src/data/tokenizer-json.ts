/**
 * Puts parts of a `tokenizer.json` into words that `@huggingface/tokenizers` follows to the letter. Its own
 * `ByteLevel` splits at JavaScript's `\s` (which is not Unicode's) and its `Digits` knows ASCII digits only;
 * the same splits written as a regular expression it treats as the Rust library does.
 */
import { CheckpointError } from '../errors.js';

/** How GPT-2 splits text: contractions, words, numbers and punctuation, each with the space before it. */
export const GPT2_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

type Json = Record<string, unknown>;

/**
 * The same tokenizer with `ByteLevel` and `Digits` pre-tokenizers spelled out as splits.
 *
 * @throws CheckpointError for a kind of split that would be treated as another kind
 */
export function normalizeTokenizerJson(json: Json, name: string): Json {
  return {
    added_tokens: [],
    ...json,
    pre_tokenizer: normalizePreTokenizer(json.pre_tokenizer ?? null, name),
  };
}

export function splitBy(pattern: string): Json {
  return { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
}

export function byteLevelWithoutSplit(): Json {
  return { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
}

export function sequence(pretokenizers: unknown[]): Json {
  return { type: 'Sequence', pretokenizers };
}

function normalizePreTokenizer(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const node = value as Json;
  switch (node.type) {
    case 'Sequence':
      return {
        ...node,
        pretokenizers: (node.pretokenizers as unknown[]).map((part) => normalizePreTokenizer(part, name)),
      };
    case 'ByteLevel':
      // With a space put before the text the split sees that space, which an expression before it would not.
      if (node.use_regex === false || node.add_prefix_space === true) return node;
      return sequence([splitBy(GPT2_PATTERN), { ...node, use_regex: false }]);
    case 'Digits':
      return splitBy(node.individual_digits === true ? '\\p{N}' : '\\p{N}+');
    case 'Split': {
      const plain = node.behavior === 'Isolated' || node.behavior === 'Removed';
      if (!plain || node.invert === true) {
        throw new CheckpointError(
          `The tokenizer of ${name} splits text with behavior "${node.behavior}"${node.invert === true ? ', inverted' : ''}; ` +
            'expected "Isolated" or "Removed".',
        );
      }
      return node;
    }
    default:
      return node;
  }
}
