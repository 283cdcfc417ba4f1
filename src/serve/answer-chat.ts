/** `POST /v1/chat/completions`, from a request that has been read to its response. */

import { randomInt, randomUUID } from 'node:crypto';
import type { Message } from '../data/pairs.js';
import { type PersonaTemplate, withPersona } from '../data/persona-prompt.js';
import { LlmApiError } from '../errors.js';
import type { EntryDetails } from './access-log.js';
import type { Admission } from './admission.js';
import { ApiError, badField, toApiError } from './api-error.js';
import type { ChatBody } from './chat-request.js';
import {
  chunks,
  completion,
  END_OF_STREAM,
  errorEvent,
  type ResponseHead,
  UsageCount,
} from './chat-response.js';
import type { PersonaSession, UserPersonas } from './personas/user-personas.js';
import { ClientGoneError, requestLife } from './request-life.js';
import type { ResolvedServeOptions } from './serve-options.js';
import type { AnswerEvent, AnswerRequest, ServedModel } from './served-model.js';
import { userOf } from './user-id.js';

/** What answers are made with, for all requests. */
export interface ChatServices {
  models: readonly ServedModel[];
  options: ResolvedServeOptions;
  admission: Admission;
  /** Null where personas are off. */
  personas: UserPersonas | null;
  personaTemplate: PersonaTemplate;
  /** Aborted when answers under way are to end. */
  ending: AbortSignal;
  /** Hears of errors that clients are told nothing about. */
  onError: (error: unknown) => void;
}

export interface ChatCall {
  body: ChatBody;
  headers: Headers;
  /** Aborted when the connection closes. */
  client: AbortSignal;
}

export interface ChatAnswer {
  response: Response;
  /** Resolves when the response has ended, with what the access log says of it. */
  ended: Promise<EntryDetails>;
}

/** Tells the client whether a persona was used, where personas are on. */
const PERSONA_HEADER = 'x-persona';

/**
 * Answers a request: finds the model and the user's persona, and lets the model answer, whole or in a stream.
 *
 * @throws ApiError for what the client is told in place of an answer, {@link ClientGoneError} where it has left
 */
export async function answerChat(services: ChatServices, call: ChatCall): Promise<ChatAnswer> {
  const { options, admission, personas, ending } = services;
  const { body, headers, client } = call;
  const model = modelOf(body, services.models);
  const request = answerRequest(body, model, options);
  const user = personas === null ? undefined : userOf(body, headers);
  const leave = admission.enter(body.n);
  const life = requestLife(client, ending, options.requestTimeoutMs);
  let session: PersonaSession | null = null;
  const finish = () => {
    life.end();
    session?.close();
    leave();
  };
  try {
    if (personas !== null && user !== undefined) session = await personas.begin(user, life.signal);
    const begun = await begin(model, request, session?.persona, services.personaTemplate, life.signal);
    const count = new UsageCount();
    const said = () => remember(session, body.messages, services);
    const details = (status: number, error?: unknown): EntryDetails => {
      const { prompt_tokens, completion_tokens } = count.usage();
      return {
        ...{ status, model: model.name },
        ...(prompt_tokens === 0 ? {} : { promptTokens: prompt_tokens, completionTokens: completion_tokens }),
        ...(personas === null ? {} : { persona: begun.persona }),
        ...(error === undefined ? {} : { error: nameOf(error) }),
      };
    };
    const head: ResponseHead = {
      ...{ id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: model.name },
    };
    const personaHeader = personas === null ? {} : { [PERSONA_HEADER]: begun.persona ? 'applied' : 'none' };
    if (!body.stream) {
      const whole = await completion(head, begun.events, body.n, count);
      await said();
      finish();
      const response = Response.json(whole, { headers: personaHeader });
      return { response, ended: Promise.resolve(details(200)) };
    }
    const pieces = chunks(head, begun.events, { samples: body.n, includeUsage: body.includeUsage }, count);
    return streamed(pieces, { life, said, finish, details, personaHeader, onError: services.onError });
  } catch (error) {
    finish();
    throw life.signal.aborted ? life.signal.reason : error;
  }
}

function modelOf({ model: name }: ChatBody, models: readonly ServedModel[]): ServedModel {
  const model = models.find((each) => each.name === name);
  if (model !== undefined) return model;
  throw unknownModel(models);
}

export function unknownModel(models: readonly ServedModel[]): ApiError {
  const names = models.map(({ name }) => name).join(', ');
  return new ApiError(404, `There is no such model here; this server has: ${names}.`, {
    ...{ type: 'not_found_error', param: 'model', code: 'model_not_found' },
  });
}

function answerRequest(
  { messages, n, maxTokens, temperature, topP, topK, stop, seed }: ChatBody,
  model: ServedModel,
  options: ResolvedServeOptions,
): AnswerRequest {
  const mostSamples = Math.min(options.maxSamples, model.maxBatch);
  if (n > mostSamples) throw badField('n', `n: at most ${mostSamples} answers are given to a request.`);
  if (maxTokens !== null && maxTokens > options.maxTokens) {
    const message = `max_completion_tokens: an answer has at most ${options.maxTokens} tokens here.`;
    throw badField('max_completion_tokens', message);
  }
  return {
    messages,
    samples: n,
    sampling: {
      ...{ temperature, topP, topK, stop },
      maxTokens: maxTokens ?? options.maxTokens,
      seed: seed ?? randomInt(2 ** 48 - 1),
    },
  };
}

interface Begun {
  events: AsyncGenerator<AnswerEvent, void, void>;
  /** Whether the persona stands before the messages. */
  persona: boolean;
}

/** Begins an answer with the persona; without it where there is room for the messages alone. */
async function begin(
  model: ServedModel,
  request: AnswerRequest,
  persona: string | undefined,
  template: PersonaTemplate,
  signal: AbortSignal,
): Promise<Begun> {
  if (persona !== undefined) {
    try {
      const messages = withPersona(request.messages, persona, template);
      return { events: await started(model, { ...request, messages }, signal), persona: true };
    } catch (error) {
      if (!(error instanceof LlmApiError) || error.details.limit === undefined) throw error;
    }
  }
  return { events: await started(model, request, signal), persona: false };
}

/** The events behind the first, which says that the request can be answered. */
async function started(
  model: ServedModel,
  request: AnswerRequest,
  signal: AbortSignal,
): Promise<AsyncGenerator<AnswerEvent, void, void>> {
  const events = model.answer(request, signal);
  await events.next();
  return events;
}

/** Remembers the newest message of the user; that this fails is no reason not to answer. */
async function remember(
  session: PersonaSession | null,
  messages: readonly Message[],
  { onError }: ChatServices,
): Promise<void> {
  const own = messages.filter(({ role, content }) => role === 'user' && content.trim() !== '');
  const last = own.at(-1);
  if (session === null || last === undefined) return;
  await session.said({ text: last.content, initial: own.length === 1 }).catch(onError);
}

interface Streaming {
  life: ReturnType<typeof requestLife>;
  said: () => Promise<void>;
  finish: () => void;
  details: (status: number, error?: unknown) => EntryDetails;
  personaHeader: Record<string, string>;
  onError: (error: unknown) => void;
}

/** The pieces as server-sent events; an error behind the beginning comes as an event of its own. */
function streamed(pieces: AsyncGenerator<string, void, void>, streaming: Streaming): ChatAnswer {
  const { life, said, finish, details, personaHeader, onError } = streaming;
  let tell: (entry: EntryDetails) => void = () => {};
  const ended = new Promise<EntryDetails>((resolve) => (tell = resolve));
  const end = (status: number, error?: unknown) => {
    finish();
    tell(details(status, error));
  };
  async function* whole(): AsyncGenerator<string, void, void> {
    try {
      yield* pieces;
      await said();
      end(200);
      yield END_OF_STREAM;
    } catch (caught) {
      const error = life.signal.aborted ? life.signal.reason : caught;
      if (error instanceof ClientGoneError) return;
      const told = toApiError(error);
      if (told.cause !== undefined) onError(told.cause);
      end(told.status, told);
      yield errorEvent(told);
    }
  }
  const events = whole();
  // A reader that has left, or reads no more, asks for no further piece: then nobody else ends the request.
  life.signal.addEventListener(
    'abort',
    () => {
      const { reason } = life.signal;
      void events.return().finally(() => end(reason instanceof ClientGoneError ? 499 : 504, reason));
    },
    { once: true },
  );
  const encoder = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await events.next();
      if (done === true) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    cancel: () => life.abort(new ClientGoneError()),
  });
  const headers = {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no',
    ...personaHeader,
  };
  return { response: new Response(stream, { headers }), ended };
}

function nameOf(error: unknown): string {
  if (error instanceof ClientGoneError) return 'client-gone';
  return error instanceof ApiError ? (error.code ?? error.type) : 'error';
}
