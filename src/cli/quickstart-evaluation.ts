import type { EvaluationCell, EvaluationResultInput } from '../eval/results.js';
import { wilsonInterval } from '../eval/statistics/wilson.js';
import type { BeforeAfter, HeldOutScores } from './held-out.js';
import type { QuickstartResults } from './quickstart-results.js';

/** What the quickstart found on its held-out pairs, as the report shows evaluations. */
export function quickstartEvaluation(results: Omit<QuickstartResults, 'ranking'>): EvaluationResultInput {
  const { all, usersInLog, newUsers, samples, adapter, reward } = results;
  return {
    kind: 'evaluation',
    format: 1,
    name: 'held-out-pairs',
    title: 'Held-out pairs',
    about:
      'How often the persona moves the model towards the preferred answer, measured from the untrained model that knows no persona.',
    subject: adapter,
    finishedAt: new Date().toISOString(),
    tables: [
      {
        title: 'Persona accuracy',
        note: '50% is a model that takes no notice of personas. Intervals are Wilson score intervals at 95%.',
        rowTitle: 'Pairs',
        columns: [
          { title: 'before', unit: 'share', reference: 0.5, digits: 0 },
          { title: 'after', unit: 'share', better: 'higher', reference: 0.5, digits: 0 },
        ],
        rows: [
          { label: 'all', cells: shares(all) },
          { label: 'users of the log', cells: shares(usersInLog) },
          { label: 'users never seen', cells: shares(newUsers) },
        ],
      },
      {
        title: 'By how much',
        note: 'The move towards the preferred answer in nats; reward accuracy and margin are TRL’s, against the untrained model; the last is of log-probabilities per token.',
        columns: [
          { title: 'before', unit: 'number', digits: 2 },
          { title: 'after', unit: 'number', digits: 2, better: 'higher' },
        ],
        rows: [
          { label: 'persona pull, nats', cells: plain(all.pull) },
          { label: 'reward accuracy', cells: plain({ before: 0.5, after: all.rewardAccuracy }) },
          { label: 'reward margin', cells: plain({ before: 0, after: all.rewardMargin }) },
          { label: 'preferred answer is likelier', cells: plain(all.likelier) },
        ],
      },
      {
        title: 'The reward model',
        note: 'How often it gives the preferred answer of a held-out pair the higher reward, seeing the persona; Wilson’s 95% interval.',
        columns: [{ title: 'Right', unit: 'share', better: 'higher', reference: 0.5, digits: 0 }],
        rows: [
          {
            label: 'held-out pairs',
            cells: [withInterval(reward.heldOut.correct / reward.heldOut.pairs, reward.heldOut.pairs)],
          },
        ],
      },
    ],
    answers: samples.map(({ user, persona, request, before, after }) => ({
      user,
      persona,
      prompt: [{ role: 'user', content: request }],
      answers: [
        { label: 'before training', text: before },
        { label: 'after training', text: after },
      ],
    })),
  };
}

function shares({ accuracy, pairs }: HeldOutScores): EvaluationCell[] {
  return [withInterval(accuracy.before, pairs), withInterval(accuracy.after, pairs)];
}

function plain({ before, after }: BeforeAfter): EvaluationCell[] {
  return [{ value: before }, { value: after }];
}

function withInterval(share: number, count: number): EvaluationCell {
  if (count === 0) return { value: null };
  const { low, high } = wilsonInterval(share * count, count);
  return { value: share, low, high, count };
}
