/** Options of a chat model behind an OpenAI-compatible server. */
import { z } from 'zod';

const milliseconds = () => z.number().int().min(1);
const price = () => z.number().min(0).nullable().default(null);

/** Fields that requests have anyway: `extraBody` must not change them. */
const OWN_FIELDS = [
  ...['messages', 'model', 'stream', 'stream_options', 'n', 'temperature', 'top_p', 'top_k', 'seed', 'stop'],
  ...['max_tokens', 'max_completion_tokens', 'logprobs', 'top_logprobs', 'prompt_logprobs'],
  ...['add_generation_prompt', 'continue_final_message'],
];

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

export const serverChatModelOptionsSchema = z
  .strictObject({
    kind: z
      .literal('server')
      .describe('A server that speaks the OpenAI API: vLLM, OpenAI, llama.cpp, Ollama.'),
    baseUrl: z
      .string()
      .superRefine(checkBaseUrl)
      .transform((url) => url.replace(/\/+$/, ''))
      .describe('Address up to and with the version: http://127.0.0.1:8000/v1.'),
    model: z.string().min(1).describe("The model's name as the server knows it."),
    apiKeyVariable: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'the name of an environment variable, not the key itself')
      .nullable()
      .default('OPENAI_API_KEY')
      .describe('Environment variable that holds the key; null to send none.'),
    allowKeyOverHttp: z
      .boolean()
      .default(false)
      .describe('Send the key over plain http to another machine, readable for everyone in between.'),
    name: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe(
        'What replies are cached under in place of the address, for a server whose address changes from run to run.',
      ),
    contextTokens: z
      .number()
      .int()
      .min(1)
      .nullable()
      .default(null)
      .describe('Tokens of prompt and reply together. Default: what the server says (vLLM does).'),
    tokenizer: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe(
        "Folder with the model's tokenizer.json: tokens are counted exactly, and labels of several tokens scored rightly.",
      ),
    concurrency: z.number().int().min(1).default(8).describe('Requests under way at a time.'),
    requestsPerMinute: z
      .number()
      .positive()
      .nullable()
      .default(null)
      .describe('Most requests sent a minute, evenly spaced; retries count. Default: no limit.'),
    stream: z
      .boolean()
      .default(true)
      .describe(
        'Let replies come as they are written, so that a server that hangs is told from one that is slow.',
      ),
    connectTimeoutMs: milliseconds().default(10_000).describe('Limit on connecting.'),
    stallTimeoutMs: milliseconds()
      .default(120_000)
      .describe(
        'Limit on the time in which nothing comes, before the reply begins and between its parts. Only with stream.',
      ),
    timeoutMs: milliseconds().default(900_000).describe('Limit on one try of a request as a whole.'),
    maxRetries: z
      .number()
      .int()
      .min(0)
      .default(6)
      .describe('Further tries of a request that met a busy, broken or vanished server.'),
    retryDelayMs: milliseconds()
      .default(1_000)
      .describe('Pause before the second try; doubled for each further one, and up to doubled at random.'),
    maxRetryDelayMs: milliseconds().default(60_000).describe('Longest pause of our own choice.'),
    maxRetryAfterMs: milliseconds()
      .default(300_000)
      .describe('Longest pause that is made because the server asks for it; for a longer one the run ends.'),
    maxConnectionFailures: z
      .number()
      .int()
      .min(1)
      .default(50)
      .describe(
        'After so many tries in a row, over all requests, without a sign of the server the run ends.',
      ),
    pricePerMillionPromptTokens: price().describe('For the cost in reports and for maxCost.'),
    pricePerMillionCompletionTokens: price().describe('As for prompt tokens.'),
    maxCost: z
      .number()
      .positive()
      .nullable()
      .default(null)
      .describe(
        'Spending limit of one run, in the currency of the prices: no request is sent that may pass it.',
      ),
    maxTokensTotal: z
      .number()
      .int()
      .positive()
      .nullable()
      .default(null)
      .describe('Limit on the tokens of prompts and replies of one run together.'),
    extraBody: z
      .record(z.string(), z.json())
      .default({})
      .superRefine((body, context) => {
        for (const field of OWN_FIELDS) {
          if (field in body)
            context.addIssue({ code: 'custom', message: `${field} is set by the request itself` });
        }
      })
      .describe(
        'Further fields of every request, as the server names them: {"chat_template_kwargs": {"enable_thinking": false}}.',
      ),
  })
  .superRefine((options, context) => {
    const priced =
      options.pricePerMillionPromptTokens !== null && options.pricePerMillionCompletionTokens !== null;
    if (options.maxCost !== null && !priced) {
      context.addIssue({
        code: 'custom',
        path: ['maxCost'],
        message: 'needs pricePerMillionPromptTokens and pricePerMillionCompletionTokens',
      });
    }
  });

/** Resolved: with all defaults. */
export type ServerChatModelOptions = z.output<typeof serverChatModelOptionsSchema>;

/** Whether what is sent to the server can be read by machines in between. */
export function isOpenToOthers(baseUrl: string): boolean {
  const { protocol, hostname } = new URL(baseUrl);
  return protocol === 'http:' && !LOOPBACK.test(hostname);
}

function checkBaseUrl(value: string, context: z.core.$RefinementCtx<string>): void {
  const expected = 'an address such as http://127.0.0.1:8000/v1';
  const refuse = (message: string) => context.addIssue({ code: 'custom', message });
  if (!URL.canParse(value)) {
    refuse(`expected ${expected}`);
    return;
  }
  const url = new URL(value);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') refuse(`expected http or https: ${expected}`);
  // Not shown: it may be a secret.
  if (url.username !== '' || url.password !== '') {
    refuse('must not hold a user name or password; the key comes from an environment variable');
  }
  if (url.search !== '' || url.hash !== '') refuse(`must end with its path: ${expected}`);
  if (/\/chat\/completions\/?$/.test(url.pathname)) refuse(`without /chat/completions: ${expected}`);
}
