/** What the inference of personas can be told. */
import { z } from 'zod';

export const personaOptionsSchema = z.object({
  minMessages: z
    .number()
    .int()
    .min(1)
    .default(2)
    .describe('Users with fewer messages in conversations that are not held out get no persona.'),
  maxHistoryTokens: z
    .number()
    .int()
    .min(64)
    .default(4000)
    .describe(
      "Tokens of a user's messages that are shown; less where the model's context has no room. Re-attempts with feedback come first, then the newest.",
    ),
  maxMessageTokens: z
    .number()
    .int()
    .min(32)
    .default(300)
    .describe('A longer message is shortened in the middle.'),
  maxReplyTokens: z
    .number()
    .int()
    .min(16)
    .default(512)
    .describe('Most tokens of a reply. Models that reason first need many.'),
  temperature: z.number().min(0).default(0.6).describe('0 takes the likeliest token always.'),
  topP: z
    .number()
    .gt(0)
    .max(1)
    .default(0.9)
    .describe('Draws from the likeliest tokens that together have this probability.'),
  seed: z.number().int().min(0).default(0).describe('Another seed draws other personas.'),
});

export type PersonaOptions = z.input<typeof personaOptionsSchema>;
export type ResolvedPersonaOptions = z.output<typeof personaOptionsSchema>;
