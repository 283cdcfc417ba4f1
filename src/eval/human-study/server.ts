/** The server of a human study: the page, a participant's sheet, and votes. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { z } from 'zod';
import { ConfigError } from '../../errors.js';
import type { AnswerRow } from '../user-eval/files.js';
import { STUDY_PAGE, STUDY_PAGE_POLICY } from './page.js';
import { type DealtItem, dealSheet, type SheetOptions } from './sheet.js';
import { appendVote, readVotes, type Vote } from './votes.js';

export interface StudyOptions extends SheetOptions {
  answers: readonly AnswerRow[];
  /** What participants are told of the users. Default: nothing. */
  personas?: ReadonlyMap<string, string>;
  /** File that votes are added to, and in which those of earlier days are found. */
  votes: string;
}

export interface RunningStudy {
  readonly url: string;
  stop(): Promise<void>;
}

const castSchema = z.object({
  participant: z.string().min(1).max(60),
  id: z.string().min(1),
  side: z.enum(['left', 'right', 'tie']),
  seconds: z.number().min(0),
});

const MAX_BODY_BYTES = 10_000;
const LOCAL_HOST = /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/;

/**
 * The study as an application that takes requests. A page from elsewhere cannot vote: votes are JSON, which browsers do
 * not send to another site unasked.
 *
 * @param localOnly Refuses requests by a name that is not this machine's own: another site's name may have been pointed
 *   here. Default true
 */
export function createStudyApp(
  { answers, personas, votes, ...dealing }: StudyOptions,
  { localOnly = true }: { localOnly?: boolean } = {},
): Hono {
  const app = new Hono();
  const sheetOf = (participant: string): DealtItem[] => dealSheet(answers, participant, dealing, personas);

  app.use(async (context, next) => {
    if (localOnly && !LOCAL_HOST.test(context.req.header('host') ?? '')) {
      return refused(context, 'this server answers only to this machine');
    }
    context.header('content-security-policy', STUDY_PAGE_POLICY);
    context.header('x-content-type-options', 'nosniff');
    context.header('referrer-policy', 'no-referrer');
    context.header('cache-control', 'no-store');
    return next();
  });
  app.get('/', (context) => context.html(STUDY_PAGE));
  app.get('/api/items', (context) => {
    const participant = (context.req.query('participant') ?? '').trim();
    const own = readVotes(votes).filter((vote) => vote.participant === participant);
    const voted = new Set(own.map(({ id }) => id));
    const items = sheetOf(participant).map(({ item }) => ({ ...item, voted: voted.has(item.id) }));
    return context.json({ items });
  });
  app.post('/api/votes', bodyLimit({ maxSize: MAX_BODY_BYTES }), async (context) => {
    const type = context.req.header('content-type') ?? '';
    if (!type.startsWith('application/json')) return refused(context, 'a vote is JSON');
    const parsed = castSchema.safeParse(await context.req.json().catch(() => undefined));
    if (!parsed.success) return refused(context, 'expected participant, id, side and seconds');
    const { participant, id, side, seconds } = parsed.data;
    const dealt = sheetOf(participant).find(({ item }) => item.id === id);
    if (dealt === undefined) return refused(context, `${id} is not on the sheet of ${participant}`);
    appendVote(votes, {
      ...{ participant, id, left: dealt.left, seconds },
      winner: winnerOf(side, dealt.left),
      time: new Date().toISOString(),
    });
    return context.json({ kept: true });
  });
  app.onError((error, context) =>
    error instanceof ConfigError
      ? refused(context, error.message)
      : context.json({ error: 'something went wrong; the terminal says what' }, 500),
  );
  return app;
}

function refused(context: Context, error: string): Response {
  return context.json({ error }, 400);
}

function winnerOf(side: 'left' | 'right' | 'tie', left: DealtItem['left']): Vote['winner'] {
  if (side === 'tie') return 'tie';
  const right = left === 'answer' ? 'original' : 'answer';
  return side === 'left' ? left : right;
}

/**
 * Starts a study on a port of this machine; other machines reach it only where `host` says so.
 *
 * @param port 0 for any that is free
 * @throws ConfigError for an address that cannot be listened on
 */
export async function startStudy(
  options: StudyOptions,
  { host = '127.0.0.1', port = 8100 }: { host?: string; port?: number } = {},
): Promise<RunningStudy> {
  const app = createStudyApp(options, { localOnly: LOCAL_HOST.test(host) || host === '::1' });
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new ConfigError(`The study cannot listen on ${host}:${port}: ${cause.message}.`, { cause }));
    });
    server.listen(port, host, resolve);
  });
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${taken}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
