/**
 * The better answers that a log already holds: a model that took the hint answered again after the feedback. Where the
 * logged model is stronger than the one at hand, its second answer says more than a rewrite by the latter would.
 */
import { refusalIn } from '../refusals.js';
import type { RewriteRow } from '../rows.js';
import type { StageContext } from '../stage.js';
import { collectFollowUps, followUpsOf, type LoggedFollowUp } from './follow-ups.js';
import type { FollowUpChoice } from './options.js';
import type { RewriteInput } from './rewrite-answers.js';

export interface LoggedOptions {
  /** Whether rows carry the user's persona. Default true. */
  persona?: boolean;
  /** Which follow-ups of a conversation count. Default `all`. */
  followUps?: FollowUpChoice;
}

/**
 * For each answer that a user of the training side sent back with feedback, the answer that the log has after it, as
 * if it were a rewrite: its pair has the context of the first answer, in which nobody had said yet what was missing.
 *
 * Books: user messages. Those that are no re-attempts with feedback are dropped under their type; the others may be
 * dropped for want of an answer before or after them, because the second answer was sent back as well, or is a refusal.
 */
export async function* loggedAnswers(
  { conversations, messages, personas = new Map() }: RewriteInput,
  { persona: withPersona = true, followUps = 'all' }: LoggedOptions,
  { tally }: StageContext,
): AsyncGenerator<RewriteRow> {
  const wanted = await collectFollowUps(messages, followUps, tally);
  for await (const followUp of followUpsOf(conversations, wanted, tally)) {
    const { logged, ...known } = followUp;
    const problem = unusable(followUp);
    if (logged === undefined || problem !== undefined) {
      tally.drop({ id: known.id, user: known.user, ...(problem ?? { reason: 'no-answer-after' }) });
      continue;
    }
    const persona = withPersona ? personas.get(known.user)?.trim() : undefined;
    if (withPersona && !persona) tally.note('no-persona');
    tally.leave();
    yield {
      ...known,
      source: 'logged',
      rewrite: logged.content,
      ...(persona ? { persona } : {}),
      model: logged.model ?? 'unknown: from the log',
      request: [],
      finishReason: 'stop',
    };
  }
}

function unusable({ logged }: LoggedFollowUp): { reason: string; detail?: string } | undefined {
  if (logged === undefined || logged.content.trim() === '') return { reason: 'no-answer-after' };
  if (logged.sentBack) return { reason: 'sent-back-again' };
  const refusal = refusalIn(logged.content);
  return refusal === undefined ? undefined : { reason: 'refusal', detail: refusal };
}
