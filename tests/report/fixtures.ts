/** Reports of runs that never were: as large as wanted, and with whatever texts. */

import type { EvaluationResult } from '../../src/eval/results.js';
import type {
  ReportConversation,
  ReportData,
  ReportPair,
  ReportRun,
  ReportStage,
} from '../../src/report/report-data.js';

export interface FixtureOptions {
  pairs?: number;
  users?: number;
  /** Stands for every text of others: names, messages, answers, titles. */
  text?: (what: string) => string;
}

const REQUESTS = [
  'How do I keep half an avocado from going brown overnight?',
  'Write a short note to my neighbours about the water being off on Thursday.',
  'Why does my bread come out dense, and what should I change first?',
  'Explain what a foreign key is to somebody who has only used spreadsheets.',
  'Suggest three places for a rainy weekend with a seven-year-old.',
];
const LONG_ANSWER =
  'There are several things that you could do here, and it depends on what you have at hand. First of all, it is worth knowing why this happens: as soon as air gets in, everything goes faster than one would like. You can slow it down by keeping the air out, by keeping it cold, and by adding a little acid, such as lemon juice.\n\nIn conclusion, there is no single best way, but all of these will help to some degree.';
const SHORT_ANSWER =
  'Keep the air out: press cling film onto the surface, add a little acid, such as lemon juice, and keep it cold.\n\nIt will hold until the next day.';
const FOLLOW_UPS = ['too long, just tell me what to do', 'shorter please', 'skip the theory'];
const PERSONA =
  '- Wants the answer first, in two or three sentences\n- No background unless asked for\n- Plain words';

/** A run with everything that a report shows. */
export function reportRun(name: string, options: FixtureOptions = {}): ReportRun {
  const { pairs = 40, users = Math.max(3, Math.ceil(pairs / 5)), text = (what) => what } = options;
  const userOf = (i: number) => text(`user-${String(i % users).padStart(4, '0')}`);
  const made = Array.from({ length: pairs }, (_, i) => reportPair(i, userOf(i), text));
  return {
    name,
    folder: text(`runs/${name}`),
    config: text(
      `output_dir: runs/${name}\nseed: 7\ntrain:\n  model: tiny\n  beta: 0.1\n  learning_rate: 5.0e-5\n`,
    ),
    settings: {
      output_dir: text(`runs/${name}`),
      'train.model': text('tiny'),
      'train.beta': name.length % 2 ? '0.1' : '0.3',
    },
    stages: stages(pairs, text),
    trainings: [
      {
        stage: 'train',
        metrics: metrics(name.length),
        outcome: 'finished',
        untrained: { loss: Math.LN2, 'rewards/margins': 0 },
        samples: [
          {
            step: 12,
            heldOut: false,
            group: {
              user: text('user-0001'),
              prompt: [{ role: 'user', content: text('Hello?') }],
              answers: [
                { label: text('reward 0.71, chosen'), text: text(SHORT_ANSWER) },
                { label: text('reward 0.2, rejected'), text: text(LONG_ANSWER) },
              ],
            },
          },
        ],
        samplesInAll: 480,
      },
    ],
    evaluations: [evaluation(text, name.length)],
    personas: Array.from({ length: Math.min(users, pairs) }, (_, i) => ({
      user: userOf(i),
      persona: text(PERSONA),
      conversations: 4 + (i % 5),
      messagesShown: 12 + (i % 7),
      messagesLeftOut: i % 3,
      model: text('server gpt-oss-120b'),
      pairs: Math.ceil(pairs / users),
    })),
    personasInAll: Math.min(users, pairs),
    pairs: made,
    pairsInAll: pairs,
    conversations: Object.fromEntries(
      made.map((pair) => [pair.conversation ?? '', conversation(pair, text)]),
    ),
  };
}

export function reportData(runs: readonly ReportRun[], title = 'Run demo'): ReportData {
  return { title, writtenBy: 'persona-dpo 0.0.0', writtenAt: '2026-01-02T03:04:05.000Z', runs: [...runs] };
}

function reportPair(i: number, user: string, text: (what: string) => string): ReportPair {
  const pick = <Item>(items: readonly Item[]) => items[i % items.length] as Item;
  return {
    id: text(`conversation-${i}:2`),
    user,
    source: text(i % 4 === 3 ? 'scratch' : 'rewrite'),
    persona: text(PERSONA),
    scores: { chosen: 1.2 + Math.sin(i), rejected: 0.1 + Math.sin(3 * i) / 1.5 },
    prompt: [{ role: 'user', content: text(`${pick(REQUESTS)} (${i})`) }],
    chosen: text(SHORT_ANSWER),
    rejected: text(LONG_ANSWER),
    followUp: {
      text: text(pick(FOLLOW_UPS)),
      type: 're-attempt-with-feedback',
      reply: text('The user asks for a shorter answer.'),
      logprobs: { 'new-request': -3.2, 're-attempt-with-feedback': -0.1, 'positive-feedback': -4.4 },
    },
    conversation: text(`conversation-${i}`),
    turn: 2,
    turnIs: 'follow-up',
    made: {
      model: text('server gpt-oss-120b'),
      request: [{ role: 'user', content: text('Write the answer again.') }],
    },
    records: [
      {
        stage: 'rank',
        fields: { [text('candidates')]: [text(SHORT_ANSWER), { reward: 0.7, why: text('short') }] },
      },
    ],
  };
}

function conversation(
  { user, prompt, rejected, followUp }: ReportPair,
  text: (what: string) => string,
): ReportConversation {
  return {
    ...(user === undefined ? {} : { user }),
    time: '2023-04-09T10:11:12.000Z',
    model: text('gpt-3.5-turbo'),
    turns: [
      ...prompt,
      { role: 'assistant', content: rejected },
      { role: 'user', content: followUp?.text ?? '' },
      { role: 'assistant', content: text('Here you are.') },
    ],
  };
}

function stages(pairs: number, text: (what: string) => string): ReportStage[] {
  const stage = (
    name: string,
    title: string,
    counts: ReportStage['counts'][number],
    more: Partial<ReportStage> = {},
  ): ReportStage => ({
    name,
    title,
    done: true,
    counts: [counts],
    examples: Object.keys(counts.dropped).map((reason) => ({
      reason,
      id: text('0f3a9c'),
      detail: text('beyond what the option allows'),
    })),
    seconds: 14,
    usage: null,
    model: null,
    startedAt: '2026-01-02T03:00:00.000Z',
    finishedAt: '2026-01-02T03:04:00.000Z',
    versions: {
      'persona-dpo': '0.0.0',
      Node: '22.1.0',
      machine: text('Xeon, 16 cores, 64.0 GiB, linux x64'),
    },
    files: [{ name: text(`${name}.jsonl`), rows: counts.out, bytes: 120_000 }],
    ...more,
  });
  const usage = {
    requests: 4 * pairs,
    cached: pairs,
    failed: 3,
    promptTokens: 412_000,
    completionTokens: 38_100,
    cost: 1.27,
  };
  const model = text('server gpt-oss-120b, http://localhost:8000/v1, temperature 0.7');
  return [
    stage(
      'conversations',
      'read, filter and split the conversations',
      {
        unit: 'conversations',
        in: 20 * pairs,
        out: 9 * pairs,
        dropped: { 'other-language': 6 * pairs, [text('too-many-turns')]: 3 * pairs, toxic: 2 * pairs },
        noted: { train: 7 * pairs, test: 2 * pairs },
      },
      { seconds: 31 },
    ),
    stage(
      'classify',
      'tell what kind each user message is',
      { unit: 'user messages', in: 30 * pairs, out: 30 * pairs, dropped: {} },
      { usage, model, seconds: 842 },
    ),
    stage(
      'personas',
      'infer how each user wants answers',
      { unit: 'users', in: 60, out: 55, dropped: { 'too-little-feedback': 5 } },
      { usage: { ...usage, cost: 0.31 }, model, seconds: 214 },
    ),
    stage(
      'rewrite',
      'make answers anew in the light of what users said to them',
      {
        unit: 'user messages',
        in: 30 * pairs,
        out: 2 * pairs,
        dropped: { 'initial-request': 9 * pairs, 'new-request': 15 * pairs, 'positive-feedback': 4 * pairs },
      },
      { usage, model, seconds: 1290 },
    ),
    stage('pairs', 'make preference pairs and filter them', {
      unit: 'pairs',
      in: 2 * pairs,
      out: pairs,
      dropped: { 'reward-too-low': pairs },
    }),
    stage(
      'train',
      'train on the pairs',
      { unit: 'pairs', in: pairs, out: pairs, dropped: {} },
      { seconds: 5120 },
    ),
  ];
}

function metrics(phase: number): Record<string, number>[] {
  return Array.from({ length: 120 }, (_, i) => {
    const step = i + 1;
    const learnt = 1 - Math.exp(-step / (30 + 4 * phase));
    const noise = Math.sin(step * (3 + phase)) * 0.05;
    const row = {
      step,
      loss: Math.LN2 - 0.45 * learnt + noise,
      'rewards/margins': 2.1 * learnt + 3 * noise,
      'rewards/accuracies': 0.5 + 0.4 * learnt + noise,
      'rewards/chosen': 0.9 * learnt + noise,
      'rewards/rejected': -1.2 * learnt - noise,
      'objective/kl': 6 * learnt * learnt,
      grad_norm: 2 + 4 * Math.abs(noise),
      learning_rate: 5e-5 * (1 - step / 120),
    };
    return row;
  }).flatMap((row) =>
    row.step % 30 === 0
      ? [
          row,
          {
            step: row.step,
            eval_loss: row.loss + 0.06,
            'eval_rewards/margins': row['rewards/margins'] * 0.8,
            'eval_rewards/accuracies': row['rewards/accuracies'] - 0.05,
          },
        ]
      : [row],
  );
}

function evaluation(text: (what: string) => string, phase: number): EvaluationResult {
  const rate = (value: number, count: number) => ({ value, low: value - 0.05, high: value + 0.05, count });
  const shift = phase / 100;
  return {
    kind: 'evaluation',
    format: 1,
    name: 'user-eval',
    title: text('WildChat UserEval'),
    about: text(
      'Answers of the trained model against the original ones, at each user turn of held-out conversations.',
    ),
    subject: text('train/adapter'),
    settings: { judge: text('gpt-oss-120b'), seed: 7 },
    seconds: 380,
    tables: [
      {
        title: text('Win rates'),
        note: text('Ties count half; intervals are 95% bootstrap over users.'),
        rowTitle: 'turns',
        columns: [
          { title: text('personalization'), unit: 'share', better: 'higher', reference: 0.5 },
          { title: text('instruction following'), unit: 'share', better: 'higher', reference: 0.5 },
          { title: text('remarks'), unit: 'text' },
        ],
        rows: [
          {
            label: text('initial turns'),
            cells: [rate(0.61 + shift, 212), rate(0.55, 212), { value: text('two unparsed') }],
          },
          {
            label: text('follow-up turns'),
            cells: [rate(0.68 - shift, 340), rate(0.52, 340), { value: null }],
          },
        ],
      },
    ],
    answers: [
      {
        user: text('user-0001'),
        persona: text(PERSONA),
        prompt: [{ role: 'user', content: text(REQUESTS[0] as string) }],
        answers: [
          { label: text('before'), text: text(LONG_ANSWER) },
          { label: text('after'), text: text(SHORT_ANSWER), note: text('judged better on all three axes') },
        ],
      },
    ],
  };
}
