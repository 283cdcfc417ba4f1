import type { Command } from 'commander';
import { ConfigError } from '../errors.js';
import type { LocalServedModels } from '../serve/local-served-models.js';
import type { UserPersonas } from '../serve/personas/user-personas.js';
import { serveOptionsSchema, servePersonaOptionsSchema } from '../serve/serve-options.js';
import type { RunningServer } from '../serve/start-server.js';
import { newCommand, numberFlag, printJson, wholeNumber } from './command.js';
import { describeError } from './exit-codes.js';
import { withInterrupt } from './interrupt.js';
import {
  addModelFlags,
  type ModelFlags,
  type OpenModel,
  openModel,
  type PersonaFlags,
  personaTemplateOf,
} from './open-model.js';
import { createProgress, type Progress } from './progress.js';
import { addSchemaFlags, readSchemaFlags } from './schema-flags.js';

interface ServeFlags extends ModelFlags, PersonaFlags {
  name?: string;
  adapters?: string[];
  maxBatch: number;
  batchTokens: number;
  apiKeyVariable: string;
  state?: string;
  personas?: string;
  history?: string;
  inferenceTemplate?: string;
  quiet?: boolean;
  json?: boolean;
  debug?: boolean;
}

const KEY_VARIABLE = 'PERSONA_DPO_API_KEY';

export function serveCommand(): Command {
  const command = newCommand(
    'serve',
    {
      summary: 'serve a model to OpenAI clients, with a persona for each user',
      description:
        'Serves a model or adapter over the OpenAI API: chat completions (streaming too) and models. Requests are ' +
        'answered together, in one batch. It listens on this machine alone unless --host says otherwise; the key that ' +
        `clients must bring comes from the environment (${KEY_VARIABLE}).\n\n` +
        'With --state, a request that names its user ("user", "metadata.user", or the header X-Persona-User) is ' +
        "answered with that user's persona before the messages: the one that was given (--personas), inferred from " +
        'earlier conversations (--history), or learnt while the user talks. GET and DELETE /v1/personas/USER show and ' +
        'forget what is kept. Ctrl-C lets answers under way end; a second one does not.',
      examples: [
        ['persona-dpo serve --model HuggingFaceTB/SmolLM2-135M-Instruct'],
        [
          'persona-dpo serve --model ./base --adapter runs/mine/train --name mine --state ~/serve --personas runs/mine/personas/personas.jsonl',
          'what a run has trained, with the personas that it inferred',
        ],
        [
          `${KEY_VARIABLE}=... persona-dpo serve --model ./base --adapters a=out/a b=out/b --host 0.0.0.0`,
          'two adapters on the same weights, for other machines',
        ],
        [
          `curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' -d '{"model": "mine", "user": "ann", "messages": [{"role": "user", "content": "Plan my day"}]}'`,
          'in another terminal',
        ],
      ],
    },
    { json: 'print address and requests as lines of JSON' },
  );
  addModelFlags(command)
    .option('--name <NAME>', 'what requests call the model (default: as it was given)')
    .option('--adapters <NAME=DIR...>', 'further PEFT adapters on the same weights, and their names')
    .option(
      '--max-batch <NUMBER>',
      'answers computed together',
      numberFlag('a whole number from 1', wholeNumber(1)),
      16,
    )
    .option(
      '--batch-tokens <NUMBER>',
      'tokens of prompts and answers computed together: what their caches may take',
      numberFlag('a whole number from 1', wholeNumber(1)),
      32_768,
    )
    .optionsGroup('Personas:')
    .option('--state <DIR>', 'folder in which what is known of users is kept; without it personas are off')
    .option('--personas <FILE>', "personas known beforehand: a run's personas.jsonl")
    .option('--history <FILE>', "earlier conversations: a run's conversations.parquet")
    .option('--persona-template <FILE>', 'Jinja template that puts the persona into words')
    .option('--inference-template <FILE>', 'Jinja template that asks the model for a persona');
  addSchemaFlags(command, servePersonaOptionsSchema);
  command
    .optionsGroup('Server:')
    .option('--api-key-variable <NAME>', 'environment variable that holds the key', KEY_VARIABLE);
  addSchemaFlags(command, serveOptionsSchema);
  return command
    .option('--quiet', 'no line for each request')
    .action((flags: ServeFlags) => serveUntilInterrupted(command, flags));
}

async function serveUntilInterrupted(command: Command, flags: ServeFlags): Promise<void> {
  const progress = createProgress();
  checkFlags(flags);
  const opened = await withInterrupt(
    (signal) => openModel(flags, progress, signal),
    () => progress.line('Stopping.'),
  );
  let local: LocalServedModels | undefined;
  let personas: UserPersonas | null = null;
  try {
    local = await serveLocally(opened, flags);
    personas = await openPersonas(command, flags, local, progress);
    const server = await start(command, flags, { local, personas, progress });
    await withInterrupt(
      (signal) => untilStopped(server, signal, flags),
      () => progress.line('Stopping: answers under way may end; once more ends them.'),
    );
  } finally {
    await personas?.close();
    await local?.close();
    opened.dispose();
  }
}

function checkFlags({ state, personas, history }: ServeFlags): void {
  const [flag] = [personas && '--personas', history && '--history'].filter((given) => given !== undefined);
  if (state === undefined && flag !== undefined) {
    throw new ConfigError(`${flag} needs --state DIR, where it is kept that a user was forgotten`);
  }
}

async function serveLocally(opened: OpenModel, flags: ServeFlags): Promise<LocalServedModels> {
  const { localServedModels } = await import('../serve/local-served-models.js');
  const { name = flags.model, adapters = [], maxBatch, batchTokens } = flags;
  return localServedModels(opened, { name, adapters: adaptersByName(adapters), maxBatch, batchTokens });
}

function adaptersByName(written: readonly string[]): Record<string, string> {
  const adapters: Record<string, string> = {};
  for (const word of written) {
    const [, name, folder] = /^([^=]+)=(.+)$/.exec(word) ?? [];
    if (name === undefined || folder === undefined)
      throw new ConfigError(`--adapters: expected NAME=DIR, got ${word}`);
    if (Object.hasOwn(adapters, name)) throw new ConfigError(`--adapters: ${name} is there twice`);
    adapters[name] = folder;
  }
  return adapters;
}

async function openPersonas(
  command: Command,
  { state, personas, history, inferenceTemplate }: ServeFlags,
  { models }: LocalServedModels,
  progress: Progress,
): Promise<UserPersonas | null> {
  if (state === undefined) return null;
  const [{ UserPersonas: Personas }, { chatModelOf }, { loadPersonaTemplate }] = await Promise.all([
    import('../serve/personas/user-personas.js'),
    import('../serve/chat-model-adapters.js'),
    import('../pairs/prompts/persona.js'),
  ]);
  return Personas.open({
    state,
    ...(personas === undefined ? {} : { personas }),
    ...(history === undefined ? {} : { history }),
    ...readSchemaFlags(command, servePersonaOptionsSchema),
    inference: {
      model: chatModelOf(models[0]!),
      ...(inferenceTemplate === undefined ? {} : { template: loadPersonaTemplate(inferenceTemplate) }),
    },
    onNotice: (message) => progress.line(message),
  });
}

interface Parts {
  local: LocalServedModels;
  personas: UserPersonas | null;
  progress: Progress;
}

async function start(
  command: Command,
  flags: ServeFlags,
  { local, personas, progress }: Parts,
): Promise<RunningServer> {
  const [{ startServer }, { describeEntry }] = await Promise.all([
    import('../serve/start-server.js'),
    import('../serve/access-log.js'),
  ]);
  const server = await startServer({
    ...readSchemaFlags(command, serveOptionsSchema),
    models: local.models,
    apiKey: process.env[flags.apiKeyVariable] || undefined,
    personas,
    personaTemplate: personaTemplateOf(flags),
    onAccess: (entry) => {
      if (flags.quiet) return;
      if (flags.json) printJson({ event: 'request', ...entry });
      else progress.line(describeEntry(entry));
    },
    onError: (error) => progress.line(describeError(error, { debug: flags.debug ?? false })),
  });
  const models = local.models.map(({ name }) => name);
  if (flags.json) printJson({ event: 'listening', url: server.url, models });
  else progress.line(`${models.join(', ')} at ${server.url}; Ctrl-C ends.`);
  return server;
}

async function untilStopped(server: RunningServer, signal: AbortSignal, { json }: ServeFlags): Promise<void> {
  if (!signal.aborted) {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  }
  const answered = await server.stop();
  if (json) printJson({ event: 'stopped', answered });
}
