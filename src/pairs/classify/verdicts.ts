/** How the types of follow-ups are written in prompts and replies. */
import type { VerdictWords } from '../judge/judge.js';
import { FOLLOW_UP_TYPES, type FollowUpType } from '../rows.js';

/** The word of each type that prompts use is the first. */
export const CLASSIFICATION_WORDS: VerdictWords<FollowUpType> = {
  verdicts: FOLLOW_UP_TYPES,
  words: {
    'new-request': ['Other', 'new', 'new-request'],
    're-attempt-with-feedback': ['Change', 'feedback', 're-attempt-with-feedback'],
    're-attempt-without-feedback': ['Again', 'repeat', 're-attempt-without-feedback'],
    'positive-feedback': ['Thanks', 'praise', 'positive-feedback'],
  },
};
