/**
 * A server on the loopback that plays vLLM's part with adapters: it loads and unloads them by name from PEFT folders,
 * refuses what vLLM refuses, and answers chats with the tiny model under the adapter that a request names.
 */

import type { ServerResponse } from 'node:http';
import type { Message } from '../../../src/data/pairs.js';
import { loadAdapter } from '../../../src/models/adapter-files.js';
import { generate } from '../../../src/models/generate.js';
import type { TextCompletion } from '../../../src/models/generation/generate-text.js';
import { type LoadedModel, loadModel } from '../../../src/models/load-model.js';
import type { LoraAdapter } from '../../../src/models/lora-adapter.js';
import { type Asked, type FakeServer, sendError, sendReply, startFakeServer } from '../../llm/fake-server.js';

export interface FakeVllmOptions {
  /** Folder of the base model. */
  model: string;
  /** Whether `load_inplace` is known, as in newer servers. Default true. */
  loadsInplace?: boolean;
  /** What happens to a request before it is answered; true where it has been answered already. */
  before?: (asked: Asked, response: ServerResponse) => boolean;
  /** The folder that stands for a path; default the path itself. */
  pathOf?: (path: string) => string;
}

export interface FakeVllm extends FakeServer {
  /** Names of adapters that are loaded now. */
  readonly adapters: ReadonlyMap<string, unknown>;
  /** Loads and unloads in their order: `+name`, `-name`. */
  readonly changes: string[];
  /** The names that chats asked for, in their order. */
  chats(): string[];
}

export async function startFakeVllm(options: FakeVllmOptions): Promise<FakeVllm> {
  const { loadsInplace = true, before = () => false, pathOf = (path) => path } = options;
  const loaded = await loadModel(options.model, { dtype: 'float32' });
  const adapters = new Map<string, LoraAdapter>();
  const changes: string[] = [];
  let turn = Promise.resolve();

  function load({ body }: Asked, response: ServerResponse): void {
    const { lora_name: name = '', lora_path: path = '' } = body as Record<string, string>;
    const inplace = loadsInplace && body.load_inplace === true;
    if (name === '' || path === '') {
      sendError(response, 400, "Both 'lora_name' and 'lora_path' must be provided.");
    } else if (adapters.has(name) && !inplace) {
      sendError(response, 400, `The lora adapter '${name}' has already been loaded.`);
    } else {
      try {
        const adapter = loadAdapter(pathOf(path), loaded.model.config);
        adapters.get(name)?.dispose();
        adapters.set(name, adapter);
        changes.push(`+${name}`);
        response.writeHead(200).end(`Success: LoRA adapter '${name}' added successfully.`);
      } catch (error) {
        sendError(response, 404, `No adapter found for ${path}: ${(error as Error).message}`);
      }
    }
  }

  function unload({ body }: Asked, response: ServerResponse): void {
    const name = body.lora_name as string;
    if (!adapters.has(name)) {
      sendError(response, 404, `The lora adapter '${name}' cannot be found.`);
      return;
    }
    adapters.get(name)?.dispose();
    adapters.delete(name);
    changes.push(`-${name}`);
    response.writeHead(200).end(`Success: LoRA adapter '${name}' removed successfully.`);
  }

  async function chat(asked: Asked, response: ServerResponse): Promise<void> {
    const adapter = adapters.get(asked.body.model as string);
    if (adapter === undefined) {
      sendError(response, 404, `The model \`${asked.body.model}\` does not exist.`);
      return;
    }
    const { text, finishReason } = await answerWith(loaded, adapter, asked);
    sendReply(asked, response, { text, finishReason });
  }

  const server = await startFakeServer((asked, response) => {
    if (before(asked, response)) return;
    if (asked.path === '/v1/load_lora_adapter') return load(asked, response);
    if (asked.path === '/v1/unload_lora_adapter') return unload(asked, response);
    if (asked.path !== '/v1/chat/completions') return sendError(response, 404, 'Not Found');
    // One at a time: they share the model.
    turn = turn.then(() => chat(asked, response));
    return turn;
  });
  const closeServer = server.close.bind(server);
  let closed = false;
  return Object.assign(server, {
    adapters,
    changes,
    chats: () =>
      server.asked.flatMap(({ path, body }) => (path.endsWith('/completions') ? [String(body.model)] : [])),
    async close() {
      if (closed) return;
      closed = true;
      await closeServer();
      await turn.catch(() => undefined);
      for (const adapter of adapters.values()) adapter.dispose();
      loaded.dispose();
    },
  });
}

async function answerWith(
  loaded: LoadedModel,
  adapter: LoraAdapter,
  { body }: Asked,
): Promise<TextCompletion> {
  loaded.model.attach(adapter);
  try {
    const completions = await generate(loaded, [body.messages as Message[]], {
      ...{ temperature: body.temperature as number, topP: (body.top_p as number | undefined) ?? 1 },
      ...{ seed: body.seed as number, maxNewTokens: body.max_tokens as number },
    });
    return completions[0]![0] as TextCompletion;
  } finally {
    loaded.model.detach();
  }
}
