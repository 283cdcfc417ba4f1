import { describe, expect, it } from 'vitest';
import { CLASSIFICATION_WORDS } from '../../../src/pairs/classify/verdicts.js';
import { readVerdict } from '../../../src/pairs/judge/verdict.js';

const read = (reply: string) => readVerdict(reply, CLASSIFICATION_WORDS.words);

describe('a verdict', () => {
  it.each([
    ['Other', 'new-request'],
    ['change', 're-attempt-with-feedback'],
    [' Again.\n', 're-attempt-without-feedback'],
    ['"Thanks"', 'positive-feedback'],
    ['**Change**', 're-attempt-with-feedback'],
    ['[[Other]]', 'new-request'],
    ['[[ re-attempt with feedback ]]', 're-attempt-with-feedback'],
    ['[[Re_attempt_without_feedback]]', 're-attempt-without-feedback'],
    ['The second request corrects the first, so it is [[Change]].', 're-attempt-with-feedback'],
    ['[[Thanks]] It is [[thanks]].', 'positive-feedback'],
    ['<think>[[Other]]? No, a wish.</think>\n[[Change]]', 're-attempt-with-feedback'],
    ['Hmm, other... </think> Change', 're-attempt-with-feedback'],
  ])('%j is %s', (reply, type) => expect(read(reply)).toEqual({ answer: type }));
});

describe('no verdict', () => {
  it.each([
    ['', 'the reply is empty'],
    [' \n...', 'the reply is empty'],
    ['<think>Is it a change? Or', 'the reply is empty'],
    ['It is a change of the first.', 'no verdict in "It is a change of the first."'],
    ['Other or Change', 'no verdict in "Other or Change"'],
    ['[[Other]] or [[Change]]', 'the reply gives several verdicts: new-request, re-attempt-with-feedback'],
    ['[[maybe]]', '"maybe" is not one of the verdicts'],
    ['[[]]', 'the reply is empty'],
    ['[[Other]] [[unsure]]', '"unsure" is not one of the verdicts'],
    ["I'm sorry, but I can't assist with that.", 'the model refused: "I can\'t assist"'],
    ['x'.repeat(100), `no verdict in "${'x'.repeat(60)}..."`],
  ])('%j: %s', (reply, problem) => expect(read(reply)).toEqual({ problem }));
});
