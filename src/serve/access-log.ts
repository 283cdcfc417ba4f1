/** One entry a request, without a word of what was said and without who said it. */

export interface AccessEntry {
  /** ISO 8601, UTC. */
  time: string;
  method: string;
  /** The route as it is declared, so that it holds no user's name; null for paths that are none of the server's. */
  route: string | null;
  /** 499 where the client left before it was answered. */
  status: number;
  milliseconds: number;
  model?: string;
  promptTokens?: number;
  completionTokens?: number;
  /** Whether a persona was put before the messages; absent where personas are off. */
  persona?: boolean;
  /** Short name of the error that the client was told. */
  error?: string;
}

/** What the handlers add to the entry of their request. */
export type EntryDetails = Omit<AccessEntry, 'time' | 'method' | 'route' | 'milliseconds'>;

/** `2026-01-31T12:00:00.000Z POST /v1/chat/completions 200 153 ms, my-model, 30 + 20 tokens, persona`. */
export function describeEntry(entry: AccessEntry): string {
  const { time, method, route, status, milliseconds, model, promptTokens, completionTokens } = entry;
  const details = [
    ...(model === undefined ? [] : [model]),
    ...(promptTokens === undefined ? [] : [`${promptTokens} + ${completionTokens ?? 0} tokens`]),
    ...(entry.persona === true ? ['persona'] : []),
    ...(entry.error === undefined ? [] : [entry.error]),
  ];
  const line = `${time} ${method} ${route ?? '(unknown path)'} ${status} ${milliseconds} ms`;
  return [line, ...details].join(', ');
}
