import { describe, expect, it } from 'vitest';
import type { SplitConversation } from '../../../src/data/conversation.js';
import { quotePersonas } from '../../../src/pairs/personas/quote-personas.js';
import type { UserMessageType } from '../../../src/pairs/rows.js';
import { classifiedAs, said } from '../support/classified-conversations.js';
import { all, watchedContext } from '../support/conversations.js';

const FEEDBACK: UserMessageType[] = Array.from({ length: 9 }, () => 're-attempt-with-feedback');

async function quote(conversations: SplitConversation[], types: readonly UserMessageType[] = FEEDBACK) {
  const context = watchedContext('users');
  const classified = conversations.flatMap((each) => classifiedAs(each, types));
  const rows = await all(quotePersonas(conversations, classified, context));
  return { rows, personas: rows.map(({ persona }) => persona), counts: context.tally.counts() };
}

describe("a persona in the user's own words", () => {
  it('quotes what sent answers back, from the oldest to the newest, and counts the rest', async () => {
    const { rows } = await quote([said('c1', ['tea?', 'too "long"']), said('c2', ['soup?', 'no\n intro'])]);
    expect(rows).toMatchObject([
      {
        user: 'ada',
        persona: '- Told an assistant: "too \'long\'"\n- Told an assistant: "no intro"',
        conversations: ['c1', 'c2'],
        messagesShown: 2,
        messagesLeftOut: 2,
        request: [],
      },
    ]);
  });

  it('has the five newest, the same words once', async () => {
    const { personas } = await quote([said('c', ['tea?', 'a', 'b', 'c', 'd', 'B!', 'e', 'f'])]);
    expect(personas[0]?.match(/(?<=").*(?=")/g)).toEqual(['c', 'd', 'B!', 'e', 'f']);
  });

  it('cuts long messages at a word', async () => {
    const { personas } = await quote([said('c', ['tea?', 'many words '.repeat(40)])]);
    expect(personas[0]).toMatch(/^- Told an assistant: "(many words )+.{0,10}\.\.\."$/);
    expect(personas[0]?.length).toBeLessThan(200);
  });

  it('never quotes what is held out, and drops users who gave no feedback', async () => {
    const heldOut = said('h', ['tea?', 'secret'], { heldOut: true });
    expect((await quote([heldOut, said('c', ['soup?', 'shorter'])])).personas).toEqual([
      '- Told an assistant: "shorter"',
    ]);
    expect((await quote([heldOut])).counts.dropped).toEqual({ 'no-messages': 1 });
    expect((await quote([said('c', ['soup?', 'and tea?'])], [])).counts).toMatchObject({
      in: 1,
      out: 0,
      dropped: { 'no-feedback': 1 },
    });
  });
});
