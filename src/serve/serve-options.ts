/** What the server can be told; the same options serve flags and code. */

import { z } from 'zod';

const count = (least: number) => z.number().int().min(least);

export const serveOptionsSchema = z.object({
  host: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('Address to listen on. Any that other machines reach needs a key, or withoutKey.'),
  port: count(0).max(65_535).default(8000).describe('Port to listen on; 0 for any free one.'),
  withoutKey: z
    .boolean()
    .default(false)
    .describe('Listen for other machines without a key: everyone who reaches the port may ask.'),
  maxBodyBytes: count(1).default(2_097_152).describe('A longer request is refused.'),
  maxTokens: count(1)
    .default(2048)
    .describe(
      'Most tokens of an answer. Requests may ask for fewer, and should: room for what they may get is set aside.',
    ),
  maxSamples: count(1).default(16).describe('Most answers to one request (`n`).'),
  maxQueue: count(0)
    .default(64)
    .describe('Answers that may wait for a place in the batch; a request beyond that is told to come later.'),
  requestTimeoutMs: count(1)
    .max(2 ** 31 - 1)
    .default(600_000)
    .describe('Limit on one request, waiting included.'),
  stopTimeoutMs: count(0)
    .max(2 ** 31 - 1)
    .default(30_000)
    .describe('How long answers under way may go on when the server is told to stop.'),
});

export type ServeOptions = z.input<typeof serveOptionsSchema>;
export type ResolvedServeOptions = z.output<typeof serveOptionsSchema>;

/** What the keeping of personas can be told. */
export const servePersonaOptionsSchema = z.object({
  updateEvery: count(1)
    .default(6)
    .describe("A user's persona is brought up to date after every so many messages of the user."),
});

export type ServePersonaOptions = z.input<typeof servePersonaOptionsSchema>;
