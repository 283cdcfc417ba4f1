import { describe, expect, it } from 'vitest';
import { erroneousSolution } from '../../../src/pairs/math/erroneous-solution.js';
import { chosenRow, generatedRow, step } from '../support/prm800k.js';

const problem = 'What is 2 + 2?';
const TWO_STEPS = ['Two and two make five.', 'So it is 5.\n\n# Answer\n\n5'];

describe('the erroneous solution of a generated one (second phase)', () => {
  it('is the whole solution, with the first step that was rated wrong', () => {
    const row = generatedRow(['Hm.', ...TWO_STEPS], [0, -1]);
    expect(erroneousSolution(row)).toEqual({
      problem,
      steps: ['Hm.', ...TWO_STEPS],
      wrong: 1,
      finished: true,
    });
  });

  it.each([
    ['5', {}, undefined],
    ['5', { ground_truth_answer: '4' }, false],
    ['5', { ground_truth_answer: '5' }, true],
    ['5', { ground_truth_answer: null, ground_truth_solution: 'It is $\\boxed{5}$.' }, true],
    ['4', { ground_truth_answer: '5' }, false],
    [null, { ground_truth_answer: '5' }, true],
  ])('says whether answer %s is right where %o tells', (answer, truth, right) => {
    const row = generatedRow(TWO_STEPS, [-1], { question: { pre_generated_answer: answer, ...truth } });
    const found = erroneousSolution(row);
    expect('answerIsRight' in found ? found.answerIsRight : undefined).toBe(right);
  });

  it('is judged by its own steps, not by those offered in their place', () => {
    const row = generatedRow(TWO_STEPS, [1]);
    row.label.steps.push(step({ 'Something else.': -1, 'So it is 5.\n\n# Answer\n\n5 ': 1 }));
    expect(erroneousSolution(row)).toEqual({ reason: 'no-error' });
  });

  it.each([
    ['no-error', generatedRow(TWO_STEPS, [1, 0], { finish: 'solution' })],
    ['no-rating', generatedRow(TWO_STEPS, [])],
    ['no-rating', generatedRow(TWO_STEPS, [1], { finish: 'give_up' })],
    ['no-rating', generatedRow(TWO_STEPS, [null, -1])],
    ['bad-problem', generatedRow(TWO_STEPS, [-1], { finish: 'bad_problem' })],
  ])('is none: %s', (reason, row) => {
    expect(erroneousSolution(row)).toEqual({ reason });
  });
});

describe('the erroneous solution on the way that was chosen (first phase)', () => {
  it('ends with the wrong step of the model in whose place a person wrote one', () => {
    const row = chosenRow([
      step({ 'First.': 0, 'Also first.': 1 }, { chosen: 1 }),
      step({ 'Perhaps.': 0 }, { chosen: null, human: 'By a person.' }),
      step({ 'Not so bad.': 0, 'Wrong.': -1, 'Wrong, too.': -1 }, { chosen: null, human: 'Right.' }),
      step({ 'So it is 4.': 1 }),
    ]);
    expect(erroneousSolution(row)).toEqual({
      problem,
      steps: ['Also first.', 'By a person.', 'Wrong.'],
      wrong: 2,
      finished: false,
    });
  });

  it('is the whole way where a wrong step was chosen; the end of the labelling tells that the answer is right', () => {
    const steps = [
      step({ 'Wrong.': -1 }),
      step({ 'Bad.': -1 }, { chosen: null, human: 'Mended.' }),
      step({ '4.': 1 }),
    ];
    expect(erroneousSolution(chosenRow(steps))).toEqual({
      problem,
      steps: ['Wrong.', 'Mended.', '4.'],
      wrong: 0,
      finished: true,
      answerIsRight: true,
    });
    expect(erroneousSolution(chosenRow(steps, 'give_up'))).toMatchObject({ finished: false });
    expect(erroneousSolution(chosenRow(steps, 'give_up'))).not.toHaveProperty('answerIsRight');
  });

  it('may be where the labelling stopped', () => {
    const row = chosenRow([step({ 'Fine.': 1 }), step({ 'Wrong.': -1, 'Bad.': -1 }, { chosen: null })], null);
    expect(erroneousSolution(row)).toMatchObject({ steps: ['Fine.', 'Wrong.'], wrong: 1, finished: false });
  });

  it.each([
    ['no-error', chosenRow([step({ 'Fine.': 1, 'Wrong.': -1 }), step({ 'Good.': 1 })])],
    ['no-error', chosenRow([step({ 'Fine.': 1 }), step({ 'Unrated.': null }, { chosen: null })], null)],
    ['no-rating', chosenRow([step({ 'Unrated.': null }), step({ 'Wrong.': -1 })])],
    ['no-solution', chosenRow([])],
    ['no-solution', chosenRow([{ completions: null, human_completion: null, chosen_completion: null }])],
    ['no-solution', chosenRow([step({ 'Unrated.': null }, { chosen: 7 })])],
  ])('is none: %s', (reason, row) => {
    expect(erroneousSolution(row)).toEqual({ reason });
  });
});
