/** What of a model's reply is the reply. */

/** Tags between which models that reason put what they think before they answer. */
const REASONING = 'think|thinking|thought|reasoning|reflection|scratchpad';
const CLOSED = new RegExp(`<(${REASONING})>[\\s\\S]*?</\\1>`, 'gi');
/** A server that opens the tag in the prompt leaves only its end in the reply. */
const ENDED = new RegExp(`^[\\s\\S]*</(?:${REASONING})>`, 'i');
const UNENDED = new RegExp(`<(?:${REASONING})>[\\s\\S]*$`, 'i');

/**
 * A reply without the model's reasoning (`<think>...</think>` and its like) and without white space around it.
 * Reasoning that does not end, because the reply was cut, leaves nothing.
 */
export function replyText(text: string): string {
  return withoutReasoning(text).trim();
}

/** {@link replyText} with its white space: indentation may mean something. */
export function withoutReasoning(text: string): string {
  return text.replace(CLOSED, '').replace(ENDED, '').replace(UNENDED, '');
}

/** Whether a reply says nothing: no letter and no digit of any script. */
export function isEmptyReply(text: string): boolean {
  return !/[\p{L}\p{N}]/u.test(text);
}
