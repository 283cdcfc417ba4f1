/** The server's routes, as a function from a request to a response. */

import { type Context, Hono } from 'hono';
import type { Guard } from './access.js';
import type { AccessEntry, EntryDetails } from './access-log.js';
import { answerChat, type ChatServices, unknownModel } from './answer-chat.js';
import { ApiError, stopping, toApiError } from './api-error.js';
import { parseChatBody } from './chat-request.js';
import { readBody } from './request-body.js';
import { ClientGoneError } from './request-life.js';
import type { ServedModel } from './served-model.js';
import { checkUser } from './user-id.js';

export interface AppOptions extends ChatServices {
  guard: Guard;
  /** Whether the server takes no more requests. */
  isStopping: () => boolean;
  onAccess: (entry: AccessEntry) => void;
}

/** A response, and what the access log is to say of it once it has ended. */
interface Handled {
  response: Response;
  ended?: Promise<EntryDetails>;
}

type Handler = (context: Context) => Promise<Handled> | Handled;

interface Route {
  path: string;
  handlers: Readonly<Record<string, Handler>>;
  /** Answered to anyone, and while the server stops. */
  open?: boolean;
}

/** The server as a fetch handler: hono's, so that it can be mounted elsewhere. */
export function createServeApp(options: AppOptions): Hono {
  const app = new Hono();
  for (const { path, handlers, open = false } of routes(options)) {
    const name = path.replace('{.+}', '');
    app.all(path, (context) => handle(context, name, handlers, open, options));
  }
  app.all('*', (context) => handle(context, null, {}, !context.req.path.startsWith('/v1/'), options));
  return app;
}

function routes(options: AppOptions): Route[] {
  const { models, personas } = options;
  const created = Math.floor(Date.now() / 1000);
  const described = ({ name, contextTokens }: ServedModel) => ({
    ...{ id: name, object: 'model', created, owned_by: 'persona-dpo', max_model_len: contextTokens },
  });
  return [
    { path: '/health', handlers: { GET: () => health(options) }, open: true },
    {
      path: '/v1/models',
      handlers: { GET: () => json({ object: 'list', data: models.map(described) }) },
    },
    {
      path: '/v1/models/:model{.+}',
      handlers: {
        GET: (context) => {
          const model = models.find(({ name }) => name === context.req.param('model'));
          if (model === undefined) throw unknownModel(models);
          return json(described(model));
        },
      },
    },
    {
      path: '/v1/chat/completions',
      handlers: {
        POST: async ({ req }) => {
          const body = parseChatBody(await readBody(req.raw, options.options.maxBodyBytes));
          return answerChat(options, { body, headers: req.raw.headers, client: req.raw.signal });
        },
      },
    },
    ...(personas === null
      ? []
      : [
          {
            path: '/v1/personas/:user{.+}',
            handlers: {
              GET: async (context: Context) => {
                const view = await personas.view(userIn(context));
                if (view === undefined) throw nothingKnown();
                const { user, persona, updated, pendingMessages } = view;
                return json({ user, object: 'persona', persona, updated, pending_messages: pendingMessages });
              },
              DELETE: async (context: Context) => {
                const user = userIn(context);
                if (!(await personas.forget(user))) throw nothingKnown();
                return json({ user, object: 'persona.deleted', deleted: true });
              },
            },
          },
        ]),
  ];
}

function health({ isStopping, admission }: AppOptions): Handled {
  const answers = admission.answers;
  return isStopping() ? json({ status: 'stopping', answers }, 503) : json({ status: 'ok', answers });
}

function userIn(context: Context): string {
  return checkUser(context.req.param('user') ?? '', 'user');
}

function nothingKnown(): ApiError {
  return new ApiError(404, 'Nothing is known of this user.', {
    type: 'not_found_error',
    code: 'user_not_found',
  });
}

function json(value: object, status = 200): Handled {
  return { response: Response.json(value, { status }) };
}

/** Answers one request, and says so to the access log once its response has ended. */
async function handle(
  context: Context,
  route: string | null,
  handlers: Readonly<Record<string, Handler>>,
  open: boolean,
  options: AppOptions,
): Promise<Response> {
  const { guard, isStopping, onAccess, onError } = options;
  const began = performance.now();
  const time = new Date().toISOString();
  const { method, raw } = context.req;
  const log = (details: EntryDetails) => {
    const milliseconds = Math.round(performance.now() - began);
    onAccess({ time, method: knownMethod(method), route, milliseconds, ...details });
  };
  try {
    if (!open) guard(raw.headers);
    if (!open && isStopping()) throw stopping();
    const { response, ended } = await handlerOf(method, route, handlers)(context);
    if (ended === undefined) log({ status: response.status });
    else void ended.then(log);
    return response;
  } catch (error) {
    if (error instanceof ClientGoneError || raw.signal.aborted) {
      log({ status: 499, error: 'client-gone' });
      return new Response(null, { status: 499 });
    }
    const told = toApiError(error);
    if (told.status >= 500 && told.cause !== undefined) onError(told.cause);
    log({ status: told.status, error: told.code ?? told.type });
    return told.toResponse();
  }
}

function handlerOf(
  method: string,
  route: string | null,
  handlers: Readonly<Record<string, Handler>>,
): Handler {
  if (route === null) {
    throw new ApiError(404, 'There is nothing at this address; the API begins with /v1.', {
      type: 'not_found_error',
      code: 'unknown_url',
    });
  }
  const handler = handlers[method === 'HEAD' ? 'GET' : method];
  if (handler !== undefined) return handler;
  const allowed = Object.keys(handlers).join(', ');
  throw new ApiError(405, `This address takes ${allowed} only.`, {
    code: 'method_not_allowed',
    headers: { allow: allowed },
  });
}

/** Methods are words of the client's: only those that are known go into the log. */
function knownMethod(method: string): string {
  return /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$/.test(method) ? method : '(other method)';
}
