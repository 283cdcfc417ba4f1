/** An analysis in the form in which all evaluations are shown. */

import { TYPE_NAMES } from '../../pairs/classify/describe-statistics.js';
import {
  type CountAndShare,
  type Distribution,
  USER_MESSAGE_TYPES,
} from '../../pairs/classify/statistics.js';
import type { EvaluationResultInput } from '../results.js';
import type { Interval } from '../statistics/interval.js';
import type { DataAnalysis } from './analyze.js';

type Table = EvaluationResultInput['tables'][number];
type Cell = Table['rows'][number]['cells'][number];

export function analysisResult(
  analysis: DataAnalysis,
  settings: NonNullable<EvaluationResultInput['settings']>,
): EvaluationResultInput {
  const { messages, contexts, dimensions } = analysis;
  return {
    ...{ kind: 'evaluation', format: 1, name: 'data-analysis', title: 'Data analysis', settings },
    about: 'What users say, how diverse it is, and how they want to be answered (section 2.2 of the paper).',
    tables: [
      ...(messages === null ? [] : [typesTable(messages), lengthsTable(messages)]),
      ...(contexts === null ? [] : [diversityTable(contexts)]),
      ...(dimensions === null ? [] : [dimensionsTable(dimensions)]),
    ],
  };
}

function typesTable({
  types,
  messages,
  conversations,
  users,
  lateMessages,
  classified,
}: NonNullable<DataAnalysis['messages']>): Table {
  const row = (label: string, { count, share }: CountAndShare) => ({
    label,
    cells: [{ value: count }, { value: share }],
  });
  const shown = USER_MESSAGE_TYPES.filter((type) => classified || types[type].count > 0);
  return {
    title: 'User messages',
    note: `${messages} user messages in ${conversations} conversations of ${users} users.${classified ? '' : ' Follow-ups were not classified, and a conversation of an unknown user counts as a user.'}`,
    rowTitle: 'Type',
    columns: [
      { title: 'Messages', unit: 'count' },
      { title: 'Share', unit: 'share', digits: 1 },
    ],
    rows: [
      ...shown.map((type) => row(TYPE_NAMES[type], types[type])),
      ...(classified
        ? [
            row(
              're-attempts with feedback among messages after the fifth',
              lateMessages.reAttemptsWithFeedback,
            ),
          ]
        : []),
    ],
  };
}

function lengthsTable({
  lengths,
  turnsPerConversation,
  perUser,
  classified,
}: NonNullable<DataAnalysis['messages']>): Table {
  const row = (label: string, { count, mean, median, max }: Distribution) => ({
    label,
    cells: [count, mean, median, max].map((value) => ({ value })),
  });
  return {
    title: 'Lengths and activity',
    columns: [
      { title: 'Number', unit: 'count' },
      { title: 'Mean', digits: 2 },
      { title: 'Median', digits: 1 },
      { title: 'Most', unit: 'count' },
    ],
    rows: [
      row('characters of an initial request', lengths.initialRequests),
      row('characters of a follow-up', lengths.followUps),
      ...(classified
        ? [row('characters of a re-attempt with feedback', lengths.reAttemptsWithFeedback)]
        : []),
      row('user messages of a conversation', turnsPerConversation),
      row('conversations of a user', perUser.conversations),
      row('messages of a user', perUser.messages),
      ...(classified ? [row('re-attempts with feedback of a user', perUser.reAttemptsWithFeedback)] : []),
    ],
  };
}

function diversityTable({ sets, embedder }: NonNullable<DataAnalysis['contexts']>): Table {
  return {
    title: 'Diversity of contexts',
    note: `Mean cosine distance of pairs of contexts; 95 % intervals by drawing contexts anew. Embedded by ${embedder}: values of different embedding models cannot be compared.`,
    rowTitle: 'Set',
    columns: [
      { title: 'Mean distance', digits: 3, better: 'higher' },
      { title: 'Contexts compared', unit: 'count' },
      { title: 'Contexts of the set', unit: 'count' },
    ],
    rows: sets.map(({ set, available, diversity: { estimate, low, high, contexts } }) => ({
      label: set,
      cells: [{ value: estimate, low, high }, { value: contexts }, { value: available }],
    })),
  };
}

function dimensionsTable({ method, personas, shares }: NonNullable<DataAnalysis['dimensions']>): Table {
  const share = ({ estimate, low, high }: Interval): Cell =>
    Number.isFinite(estimate) ? { value: estimate, low, high } : { value: null };
  return {
    title: 'What users want',
    note: `Of ${personas} personas, ${method}. 95 % intervals (Wilson). As in Table 1; no clear preference: neither wish, or both.`,
    rowTitle: 'Dimension',
    columns: [
      { title: 'Preference 1', unit: 'text' },
      { title: 'Share 1', unit: 'share', digits: 1 },
      { title: 'Preference 2', unit: 'text' },
      { title: 'Share 2', unit: 'share', digits: 1 },
      { title: 'No clear preference', unit: 'share', digits: 1 },
      { title: 'Unjudged', unit: 'count', better: 'lower' },
    ],
    rows: shares.map(({ dimension, unjudged, shares: of }) => ({
      label: dimension.name,
      cells: [
        { value: dimension.first },
        share(of.first),
        { value: dimension.second },
        share(of.second),
        share(of.none),
        { value: unjudged },
      ],
    })),
  };
}
