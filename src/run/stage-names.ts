/** The stages of a run in the order in which they are done. */
export const STAGE_NAMES = [
  'conversations',
  'reconstruct',
  'classify',
  'users',
  'personas',
  'math',
  'rewrite',
  'prompts',
  'candidates',
  'rank',
  'pairs',
  'train',
  'online',
] as const;
export type StageName = (typeof STAGE_NAMES)[number];

/** What each stage does, in a few words. */
export const STAGE_TITLES: Readonly<Record<StageName, string>> = {
  conversations: 'read, filter and split the conversations',
  reconstruct: 'answer every user message anew',
  classify: 'tell what kind each user message is',
  users: 'keep the users who give meaningful feedback',
  personas: 'infer how each user wants answers',
  math: 'make conversations out of graded solutions',
  rewrite: 'make answers anew in the light of what users said to them',
  prompts: 'choose the prompts that candidates answer',
  candidates: 'sample several answers to each prompt',
  rank: 'rank the answers by their rewards',
  pairs: 'make preference pairs and filter them',
  train: 'train on the pairs',
  online: 'train online: sample, rank, update',
};

/** Stages that train: they write weights instead of rows for later stages. */
export function isTraining(stage: StageName): stage is 'train' | 'online' {
  return stage === 'train' || stage === 'online';
}

export function isStageName(text: string): text is StageName {
  return (STAGE_NAMES as readonly string[]).includes(text);
}
