/** Characters that are not seen themselves and change how others are: in words of others they are told by number. */

/**
 * Controls other than tab and line feed, and those that turn the order of what follows (so that `\u202egnp.exe` is read
 * as something else). Marks that only give a direction, which Arabic and Hebrew texts need, are not among them.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
export const UNSEEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g;

/** `U+202E` */
export function codeOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}

/** A text with its unseen characters told by number, where nothing but text may stand. */
export function withoutUnseen(text: string): string {
  return text.replace(UNSEEN, codeOf);
}
