/** Options of every kind of chat model, under one key that says which kind. */
import { z } from 'zod';
import { ConfigError } from '../errors.js';
import { serverChatModelOptionsSchema } from './server/options.js';

const localChatModelOptionsSchema = z.strictObject({
  kind: z.literal('local').describe('A model on this machine.'),
  model: z
    .string()
    .min(1)
    .describe('Hugging Face id (owner/name[@revision]), a folder with safetensors, or a GGUF file.'),
  adapter: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe('PEFT folder of a LoRA adapter to put on the model.'),
  dtype: z.enum(['bfloat16', 'float32']).default('bfloat16').describe('Numbers to compute with.'),
  device: z.enum(['auto', 'cpu', 'cuda']).default('auto').describe('Where to run.'),
  threads: z.number().int().min(1).nullable().default(null).describe('CPU threads. Default: all cores.'),
  chatTemplatePath: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe("Jinja file to use in place of the model's own chat template."),
  batchSize: z
    .number()
    .int()
    .min(1)
    .default(32)
    .describe('Most requests computed together; fewer where they are long.'),
});

export const chatModelOptionsSchema = z.discriminatedUnion('kind', [
  localChatModelOptionsSchema,
  serverChatModelOptionsSchema,
]);

/** What a chat model is made from: `{kind: 'local', model}` or `{kind: 'server', baseUrl, model}` at least. */
export type ChatModelOptions = z.input<typeof chatModelOptionsSchema>;
/** With all defaults. */
export type ResolvedChatModelOptions = z.output<typeof chatModelOptionsSchema>;
export type LocalOptions = z.output<typeof localChatModelOptionsSchema>;

/**
 * Checks options and fills in the defaults; of its own output it gives the same again.
 *
 * @throws ConfigError naming every option that is wrong, and what was expected
 */
export function resolveChatModelOptions(options: ChatModelOptions): ResolvedChatModelOptions {
  const parsed = chatModelOptionsSchema.safeParse(options);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => {
    const where = path.length === 0 ? '' : `${path.join('.')}: `;
    return `${where}${message}`;
  });
  throw new ConfigError(
    `The chat model cannot be opened:\n${problems.map((each) => `  ${each}`).join('\n')}`,
    {
      details: { problems },
    },
  );
}
