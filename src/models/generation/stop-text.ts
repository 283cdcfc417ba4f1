/** Finds stop strings in text that comes in pieces. */

export interface StopText {
  /** The text that is certain not to belong to a stop string, and the stop string that ended it, if one did. */
  push(piece: string): { text: string; stop: string | null };
  /** What was held back when no more comes. */
  end(): string;
}

/** Holds back the end of the text as long as it may be the beginning of a stop string. */
export function createStopText(stops: readonly string[]): StopText {
  let pending = '';
  return {
    push(piece) {
      pending += piece;
      const found = earliest(pending, stops);
      if (found !== null) {
        const text = pending.slice(0, found.at);
        pending = '';
        return { text, stop: found.stop };
      }
      const held = heldBack(pending, stops);
      const text = pending.slice(0, pending.length - held);
      pending = pending.slice(pending.length - held);
      return { text, stop: null };
    },
    end() {
      const text = pending;
      pending = '';
      return text;
    },
  };
}

/** The stop string that is whole first; of several that end there, the longest. So pieces do not matter. */
function earliest(text: string, stops: readonly string[]): { at: number; stop: string } | null {
  let found: { at: number; stop: string } | null = null;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at === -1) continue;
    const later = found === null ? -1 : at + stop.length - (found.at + found.stop.length);
    if (found === null || later < 0 || (later === 0 && at < found.at)) found = { at, stop };
  }
  return found;
}

/** Length of the longest end of `text` with which a stop string begins. */
function heldBack(text: string, stops: readonly string[]): number {
  const longest = stops.reduce((most, stop) => Math.max(most, stop.length - 1), 0);
  for (let length = Math.min(longest, text.length); length > 0; length--) {
    const end = text.slice(text.length - length);
    if (stops.some((stop) => stop.startsWith(end))) return length;
  }
  return 0;
}
