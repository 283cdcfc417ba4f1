/** Requests from which the likelihood of labels is calibrated: over them no type should be likelier than another. */
import type { CALIBRATIONS } from './options.js';

type Pair = readonly [previous: string, current: string];

/** Nothing is said, so nothing speaks for a type (contextual calibration, Zhao et al. 2021). */
const CONTENT_FREE: readonly Pair[] = [
  ['N/A', 'N/A'],
  ['...', '...'],
  ['-', '-'],
];

/** Ten of each type, in the order of the types. */
const EXAMPLES: readonly Pair[] = [
  ['name a few rivers in Spain', 'how do i fix a squeaky door'],
  ['what is a quasar', 'write an email to my dentist to move the appointment'],
  ['translate "good morning" to Finnish', 'translate "where is the station" to Finnish'],
  ['write a short story about a lost glove', 'what is 12% of 350'],
  ['Give me a recipe for focaccia', 'what does my star sign say about me? capricorn'],
  ['proofread: I has two cats', 'proofread: They was late again'],
  ['who painted the night watch', 'who composed the four seasons'],
  ['How do I ask for a raise?', 'Thanks. Now a short text for the plumber, he should come on friday'],
  ['make a table of EU capitals', 'is a tomato a fruit'],
  ['hey', 'help me choose a tent for two people'],
  ['name a few rivers in Spain', 'only the ones that flow into the Atlantic'],
  ['what is a quasar', 'can you explain that in plain words'],
  ['write a short story about a lost glove', 'I would prefer a sad ending'],
  ['translate "good morning" to Finnish', 'no, thats Estonian'],
  ['Give me a recipe for focaccia', 'i only have plain flour and no oven'],
  ['How do I ask for a raise?', 'sounds too aggressive, I want to stay polite'],
  ['make a table of EU capitals', 'you forgot Malta'],
  ['who painted the night watch', 'who painted the night watch and in which year, one line only'],
  ['proofread: I has two cats', 'dont change the wording, just the mistakes'],
  ['Describe a haunted lighthouse', 'more fog, less ghosts. and in first person'],
  ['name a few rivers in Spain', 'Name a few rivers in Spain'],
  ['what is a quasar', 'what is a quasar?'],
  ['write a short story about a lost glove', 'write another'],
  ['how many bones has a cat', 'pls tell me how many bones a cat has'],
  ['Give me a recipe for focaccia', 'Please give me a recipe for focaccia.'],
  ['How do I ask for a raise?', 'how to ask for a raise'],
  ['Describe a haunted lighthouse', 'keep going'],
  ['make a table of EU capitals', 'do it again'],
  ['give me a riddle', 'another'],
  ['who painted the night watch', 'WHO PAINTED THE NIGHT WATCH'],
  ['name a few rivers in Spain', 'thanks a lot'],
  ['what is a quasar', 'Great, that makes sense now'],
  ['write a short story about a lost glove', 'I really like this one'],
  ['how many bones has a cat', 'cool, thx'],
  ['Give me a recipe for focaccia', 'came out of the oven great, we ate all of it'],
  ['How do I ask for a raise?', 'this helps, thank you so much'],
  ['make a table of EU capitals', 'nice table'],
  ['Describe a haunted lighthouse', 'That gave me goosebumps!'],
  ['proofread: I has two cats', 'perfect'],
  ['give me a riddle', 'haha didnt see that coming'],
];

export function calibrationRequests(calibration: (typeof CALIBRATIONS)[number]): readonly Pair[] {
  switch (calibration) {
    case 'none':
      return [];
    case 'content-free':
      return CONTENT_FREE;
    case 'examples':
      return EXAMPLES;
  }
}
