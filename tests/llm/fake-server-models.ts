/** Models of fake servers, with everything closed after each test. */

import { afterEach } from 'vitest';
import type { ChatModel } from '../../src/llm/chat-model.js';
import { createServerChatModel } from '../../src/llm/server/server-chat-model.js';
import { type Behaviour, type FakeServer, serverOptions, startFakeServer } from './fake-server.js';

/** To be called once in a file: what is in `open` is closed after each test. */
export function fakeServerModels() {
  const open: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const each of open.splice(0)) await each.close();
  });

  async function setup(
    behave: Behaviour,
    options: Parameters<typeof serverOptions>[1] = {},
    apiKey?: string,
  ): Promise<{ server: FakeServer; model: ChatModel }> {
    const server = await startFakeServer(behave);
    open.push(server);
    const model = await createServerChatModel(serverOptions(server, options), { apiKey });
    open.push({ close: () => model.dispose() });
    return { server, model };
  }

  return { open, setup };
}
