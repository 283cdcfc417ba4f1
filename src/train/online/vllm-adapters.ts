/**
 * vLLM's protocol for adapters that change while the server runs: `POST /v1/load_lora_adapter` and
 * `/v1/unload_lora_adapter` (docs.vllm.ai, "LoRA Adapters", dynamically serving). The server reads the adapter's folder
 * itself, and from then on knows its name as that of a model.
 */

import { ConfigError, LlmApiError } from '../../errors.js';
import { isOpenToOthers, type ServerChatModelOptions } from '../../llm/server/options.js';
import { RequestFailed, ServerConnection } from '../../llm/server/server-connection.js';

export interface AdapterServerOptions {
  /** Of the server; `model` is the name of adapters, or its beginning. */
  server: ServerChatModelOptions;
  apiKey: string | undefined;
  /** Whether an adapter takes the place of the last one under its name, or gets a name of its own. */
  loadInplace: boolean;
  signal: AbortSignal;
  onNotice: (message: string) => void;
}

const HOW_TO_START =
  'Is it started with --enable-lora, a --max-lora-rank that is not below the rank, and the environment variable ' +
  'VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, and does it see the folder under this path (else: vllm_output_dir)?';

/** What servers that know no `load_inplace` say, and what others say without it. */
const LOADED_ALREADY = /already (been )?loaded/i;

/** The adapters that a run puts on a server. Whoever makes it closes it. */
export class AdapterServer {
  readonly #options: AdapterServerOptions;
  readonly #connection: ServerConnection;
  #loaded: string | null = null;

  /** @throws ConfigError where the key would go over plain http to another machine */
  constructor(options: AdapterServerOptions) {
    const { server, apiKey } = options;
    if (apiKey !== undefined && isOpenToOthers(server.baseUrl)) {
      throw new ConfigError(
        `The key from ${server.apiKeyVariable} would go to ${server.baseUrl} over plain http, readable on the way. ` +
          'Use https, or send no key.',
      );
    }
    this.#options = options;
    this.#connection = new ServerConnection(server, apiKey);
  }

  /**
   * Hands the adapter in `path`, as the server sees it, over to the server.
   *
   * @returns the name under which it is asked from now on
   * @throws LlmApiError where the server does not take it
   */
  async load(path: string, step: number): Promise<string> {
    const { server, loadInplace } = this.#options;
    const name = loadInplace ? server.model : `${server.model}-${step}`;
    const previous = this.#loaded;
    try {
      await this.#post('load_lora_adapter', {
        ...{ lora_name: name, lora_path: path },
        ...(loadInplace && { load_inplace: true }),
      });
    } catch (error) {
      if (!LOADED_ALREADY.test(String((error as Error).message))) throw this.#refused(path, error);
      await this.#reload(name, path);
    }
    this.#loaded = name;
    if (previous !== null && previous !== name) await this.#unload(previous);
    return name;
  }

  async close(): Promise<void> {
    const { signal } = this.#options;
    if (this.#loaded !== null && !signal.aborted) await this.#unload(this.#loaded);
    this.#connection.close();
  }

  /** The name is taken: by an earlier run, or because the server knows no loading in place. */
  async #reload(name: string, path: string): Promise<void> {
    try {
      await this.#post('unload_lora_adapter', { lora_name: name });
      await this.#post('load_lora_adapter', { lora_name: name, lora_path: path });
    } catch (error) {
      throw this.#refused(path, error);
    }
  }

  /** An adapter that stays on the server does no harm. */
  async #unload(name: string): Promise<void> {
    try {
      await this.#post('unload_lora_adapter', { lora_name: name }, 0);
    } catch (error) {
      if (this.#options.signal.aborted) return;
      this.#options.onNotice(`the server kept the adapter ${name}: ${(error as Error).message}`);
    }
  }

  #post(path: string, body: object, maxRetries?: number): Promise<unknown> {
    return this.#connection.ask((client, signal) => client.post<unknown>(`/${path}`, { body, signal }), {
      signal: this.#options.signal,
      ...(maxRetries !== undefined && { maxRetries }),
    });
  }

  #refused(path: string, error: unknown): unknown {
    const { signal, server } = this.#options;
    if (signal.aborted) return error;
    const failed = error instanceof RequestFailed ? error.failure : error;
    if (!(error instanceof RequestFailed || error instanceof LlmApiError)) return error;
    const { status, retryable, body } = failed as { status?: number; retryable: boolean; body?: string };
    return new LlmApiError(
      `${server.baseUrl} has not taken over the adapter in ${path}: ${error.message}. ${HOW_TO_START}`,
      {
        ...{ retryable, cause: error },
        ...(status !== undefined && { status }),
        ...(body !== undefined && { body }),
      },
    );
  }
}
