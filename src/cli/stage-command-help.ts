import type { SectionName } from '../run/config/sections.js';
import type { InputName } from '../run/stages/setup.js';
import type { CommandHelp } from './command.js';

/** What a command for one stage is made from, beside the options of the stage. */
export interface StageCommandHelp extends CommandHelp {
  stage: SectionName;
  /** What the files are that it is given as arguments; absent where it reads what other stages have written. */
  input?: string;
  /** Files that may stand in for those in the folder. */
  given: readonly InputName[];
}

const IN_THE_FOLDER =
  'It reads what lies in the folder from earlier stages, or the files that are named instead. Done again with the ' +
  'same input and options, it does nothing.';

const SERVER = '--llm-base-url http://127.0.0.1:8000/v1 --llm-model meta-llama/Llama-3.1-8B-Instruct';
const LOCAL = '--llm-model HuggingFaceTB/SmolLM2-135M-Instruct';

/** The stages that have a command of their own. */
export const STAGE_COMMANDS: readonly StageCommandHelp[] = [
  {
    stage: 'conversations',
    summary: 'read, filter and split logs of conversations',
    description:
      'Reads logs (WildChat as it is published, OpenAI-style messages, ShareGPT; Parquet or JSON, gzip and zstd), sets ' +
      'aside rows that cannot be used, applies the filters of appendix C.1, and splits by user. Writes ' +
      'conversations/conversations.parquet into the folder, with what was dropped beside it.',
    examples: [
      ['persona-dpo conversations WildChat-1M/data --output runs/wildchat'],
      [
        'persona-dpo conversations chats.jsonl --output runs/own --columns-turns messages --user-fields account.id --languages none',
        'an export of another shape',
      ],
    ],
    input: 'logs: files, folders or globs',
    given: [],
  },
  {
    stage: 'reconstruct',
    summary: 'answer every user message anew by a given model',
    description: `Keeps what users said and has every answer made anew, in its context, turn by turn (section 3.1). ${IN_THE_FOLDER}`,
    examples: [[`persona-dpo reconstruct --output runs/wildchat ${SERVER}`]],
    given: ['conversations'],
  },
  {
    stage: 'classify',
    summary: 'tell what kind each user message is, and show statistics',
    description:
      'Tells follow-ups apart (section 2.2): new request, re-attempt with or without feedback, positive feedback. Prints ' +
      `the statistics of section 2.2 and saves them as classify/statistics.json. ${IN_THE_FOLDER}`,
    examples: [
      [`persona-dpo classify --output runs/wildchat ${SERVER}`],
      [
        `persona-dpo classify --output runs/own --conversations old/conversations.parquet --method likelihood ${LOCAL}`,
        'a small model on this machine, by the likelihood of the labels',
      ],
    ],
    given: ['conversations'],
  },
  {
    stage: 'users',
    summary: 'keep the users who give meaningful feedback',
    description: `Keeps the users whose follow-ups tell how answers should be (appendix C.1, step 6). ${IN_THE_FOLDER}`,
    examples: [
      [`persona-dpo users --output runs/wildchat ${SERVER}`],
      ['persona-dpo users --output runs/own --method rule --minimum 2', 'no model is asked'],
    ],
    given: ['conversations', 'classified'],
  },
  {
    stage: 'personas',
    summary: 'infer how each user wants answers',
    description: `Infers up to five points on how a user wants answers, from the user's messages alone (section 2.2). ${IN_THE_FOLDER}`,
    examples: [[`persona-dpo personas --output runs/wildchat ${SERVER}`]],
    given: ['conversations', 'classified', 'users'],
  },
  {
    stage: 'math',
    summary: 'make conversations out of graded solutions of math problems',
    description:
      "Makes conversations of PRM800K's erroneous solutions, with a simulated user who points out the first wrong step " +
      '(appendix C.3). persona-dpo rewrite on the same folder rewrites them.',
    examples: [['persona-dpo math prm800k/phase2_train.jsonl --output runs/math --size 10000']],
    input: "solutions in PRM800K's format",
    given: [],
  },
  {
    stage: 'rewrite',
    summary: 'make answers anew in the light of what users said to them',
    description: `Makes anew every answer that a user sent back with feedback (section 2.3). ${IN_THE_FOLDER}`,
    examples: [
      [`persona-dpo rewrite --output runs/wildchat ${SERVER}`],
      [
        `persona-dpo rewrite --output runs/scratch --source scratch --conversations runs/wildchat/conversations/conversations.parquet --classified runs/wildchat/classify/classified.jsonl ${SERVER}`,
        'the baseline without feedback',
      ],
    ],
    given: ['conversations', 'classified', 'users', 'personas', 'math'],
  },
  {
    stage: 'prompts',
    summary: 'choose the prompts that candidates answer',
    description:
      'Chooses user messages of training users, each with the conversation before it and the persona: initial requests, ' +
      `follow-ups or both, without duplicates and near duplicates. ${IN_THE_FOLDER}`,
    examples: [
      ['persona-dpo prompts --output runs/wildchat'],
      ['persona-dpo prompts --output runs/wildchat --prompts both --per-user 20 --size 10000'],
    ],
    given: ['conversations', 'classified', 'users', 'personas'],
  },
  {
    stage: 'candidates',
    summary: 'sample several answers to each prompt',
    description:
      'Samples N answers of the policy to each prompt, with the persona in the context, and removes duplicates (section ' +
      `2.4). Killed and started again, it asks for no answer twice. ${IN_THE_FOLDER}`,
    examples: [
      [`persona-dpo candidates --output runs/wildchat ${SERVER}`],
      [`persona-dpo candidates --output runs/own --samples 8 --max-tokens 256 ${LOCAL}`],
    ],
    given: ['prompts'],
  },
  {
    stage: 'rank',
    summary: 'rank the answers to each prompt by their rewards',
    description:
      'Asks a reward model for the reward of every candidate, with the persona (user-based, section 2.4) or without it ' +
      '(user-agnostic, section 3.3), and keeps all of them. With --compare it asks for both, and shows how the persona ' +
      `changes the ranking, which it saves as rank/ranking.json. ${IN_THE_FOLDER}`,
    examples: [
      ['persona-dpo rank --output runs/wildchat --reward-model rewards/athene --compare'],
      [
        'persona-dpo rank --output runs/agnostic --candidates runs/wildchat/candidates/candidates.jsonl --rewards user-agnostic --reward-model rewards/athene',
      ],
    ],
    given: ['candidates'],
  },
  {
    stage: 'pairs',
    summary: 'make preference pairs of rewrites and of rankings, and filter them',
    description:
      'Makes a preference pair of each rewrite, and of the best and the worst candidate of each ranking (Equation 2), ' +
      `applies the quality filter of appendix C.2, and shows what each threshold would keep. With a reward model, rewrites are held to the thresholds on rewards, too. ${IN_THE_FOLDER}`,
    examples: [
      ['persona-dpo pairs --output runs/wildchat'],
      ['persona-dpo pairs --output runs/wildchat --reward-model rewards/athene'],
      ['persona-dpo pairs --output runs/wildchat --min-rejected-characters none', 'a threshold switched off'],
      [
        'persona-dpo pairs --output runs/few --rewrites runs/wildchat/rewrite/rewrites.jsonl --users 10 --size 500',
      ],
    ],
    given: ['rewrites', 'rankings'],
  },
];
