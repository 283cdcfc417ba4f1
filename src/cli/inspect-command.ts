import type { Command } from 'commander';
import type { Message } from '../data/pairs.js';
import type { ListedPair, PairOrigin } from '../run/read-run.js';
import { newCommand, numberFlag, print, printJson, wholeNumber } from './command.js';
import { formatTable, shellWord } from './format.js';
import { wrap } from './wrap.js';

interface InspectFlags {
  most: number;
  json?: boolean;
}

export function inspectCommand(): Command {
  return newCommand(
    'inspect',
    {
      summary: 'show where a pair came from',
      description:
        'Shows what a pair of a run came from: the conversation, what the user said and as what it was classified, ' +
        'the persona, what the model was asked and replied, the rewards, of pairs by rewards all candidates, and ' +
        'whether the quality filter let it pass. ' +
        'PAIR is the id of a pair or its beginning; the id of a pair, conversation or user that was dropped shows why. ' +
        'Without PAIR the first pairs are listed.',
      examples: [
        ['persona-dpo inspect runs/wildchat'],
        ['persona-dpo inspect runs/wildchat 3f2a', 'a pair by the beginning of its id'],
        ['persona-dpo inspect runs/wildchat 3f2a --json'],
      ],
    },
    { json: 'print it as JSON' },
  )
    .argument('<RUN>', "the run's folder")
    .argument('[PAIR]', 'id of a pair, or its beginning')
    .option('--most <NUMBER>', 'pairs in the list', numberFlag('a whole number from 1', wholeNumber(1)), 20)
    .action(inspect);
}

async function inspect(
  folder: string,
  pair: string | undefined,
  { most, json }: InspectFlags,
): Promise<void> {
  const [{ existingRun }, { inspectPair, listPairs }] = await Promise.all([
    import('../run/run-folder.js'),
    import('../run/read-run.js'),
  ]);
  const run = existingRun(folder);
  if (pair === undefined) {
    const list = await listPairs(run, most);
    if (json) printJson(list);
    else print(describeList(list, folder));
    return;
  }
  const origin = await inspectPair(run, pair);
  if (json) printJson(origin);
  else print(describeOrigin(origin));
}

const REQUEST_CHARACTERS = 60;

function describeList({ pairs, total }: { pairs: ListedPair[]; total: number }, folder: string): string {
  if (total === 0) return `${folder} has no pairs; \`persona-dpo status ${shellWord(folder)}\` shows why.`;
  const rows = pairs.map(({ id, user = '-', source = '-', request }) => [
    id,
    user,
    source,
    oneLine(request, REQUEST_CHARACTERS),
  ]);
  const more = total > pairs.length ? [`... and ${total - pairs.length} more`] : [];
  return [formatTable([['id', 'user', 'source', 'request'], ...rows]), ...more].join('\n');
}

function oneLine(text: string, most: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > most ? `${line.slice(0, most)}...` : line;
}

export function describeOrigin(origin: PairOrigin): string {
  const { id, pair, dropped, rewrite, prompt, message, persona, conversation } = origin;
  const lines = [id, pair === undefined ? 'There is no such pair.' : 'A pair: every filter let it pass.'];
  for (const { stage, reason, detail } of dropped) {
    lines.push(`Dropped by ${stage} as ${reason}${detail === undefined ? '' : `: ${detail}`}`);
  }
  if (pair?.scores !== undefined) {
    lines.push(`Rewards: chosen ${pair.scores.chosen}, rejected ${pair.scores.rejected}`);
  }
  if (conversation !== undefined) {
    const { id: name, user, time, model, turns } = conversation;
    const facts = [`user ${user}`, time, model].filter((fact) => fact !== undefined).join(', ');
    const what = prompt === undefined ? 'the follow-up' : 'the message that candidates answer';
    const mark = (turn: number) => (turn === (prompt ?? message)?.turn ? ` <- ${what}` : '');
    lines.push('', `Conversation ${name} (${facts})`);
    for (const [turn, { role, content }] of turns.entries())
      lines.push(said(`${role}${mark(turn)}`, content));
  }
  if (message !== undefined) {
    const { type, reply, logprobs, problem } = message;
    lines.push('', `The ${prompt === undefined ? 'follow-up' : 'message'} is: ${type}`);
    if (reply !== undefined) lines.push(said("the model's words", reply));
    if (logprobs !== undefined) {
      lines.push(
        ...Object.entries(logprobs).map(([label, value]) => `    log p of ${label}: ${value.toFixed(2)}`),
      );
    }
    if (problem !== undefined) lines.push(`    ${problem}`);
  }
  if (persona !== undefined) {
    const { conversations, messagesShown, messagesLeftOut, request } = persona;
    lines.push(
      '',
      `Persona of ${persona.user}, from ${messagesShown} messages of ${conversations.length} conversations (${messagesLeftOut} left out), by ${persona.model}`,
      wrap(persona.persona, { indent: '    ' }),
      ...asked(request),
    );
  }
  if (rewrite !== undefined) {
    lines.push('', `Better answer (${rewrite.source}), by ${rewrite.model}`, ...asked(rewrite.request));
    lines.push('', said('rejected: the original', rewrite.original), said('chosen', rewrite.rewrite));
  }
  if (prompt !== undefined) lines.push(...candidateLines(prompt, pair));
  return lines.join('\n');
}

/** The answers to a prompt, the best first where they are ranked. */
function candidateLines(prompt: NonNullable<PairOrigin['prompt']>, pair: PairOrigin['pair']): string[] {
  if (!('candidates' in prompt)) return ['', 'No candidates were sampled.'];
  const { model, request } = prompt;
  const lines = ['', `${prompt.candidates.length} different candidates, by ${model}`, ...asked(request)];
  if (!('scorer' in prompt)) {
    return [...lines, ...prompt.candidates.map(({ text, draws }) => said(drawn(draws), text))];
  }
  const { rewards: kind, scorer } = prompt;
  const ranked = [...prompt.candidates].sort((a, b) => (b.rewards[kind] ?? 0) - (a.rewards[kind] ?? 0));
  const role = (text: string) =>
    text === pair?.chosen[0]?.content ? 'chosen: ' : text === pair?.rejected[0]?.content ? 'rejected: ' : '';
  lines.push('', `Ranked by ${kind} rewards, by ${scorer}`);
  for (const { text, draws, rewards } of ranked) {
    const each = Object.entries(rewards).map(([name, reward]) => `${name} reward ${reward.toFixed(4)}`);
    lines.push(said(`${role(text)}${each.join(', ')} (${drawn(draws)})`, text));
  }
  return lines;
}

function drawn(draws: readonly number[]): string {
  return draws.length === 1 ? `draw ${draws[0]}` : `draws ${draws.join(', ')}`;
}

function asked(messages: readonly Message[]): string[] {
  if (messages.length === 0) return [];
  return ['  asked:', ...messages.map(({ role, content }) => said(role, content))];
}

function said(who: string, text: string): string {
  return `  ${who}:\n${wrap(text, { indent: '    ' })}`;
}
