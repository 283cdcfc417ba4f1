/** The sections of a run's configuration, one a stage: the stage's own options, and which template files it uses. */

import { z } from 'zod';
import { ingestOptionsSchema } from '../../data/conversations/options.js';
import { candidateOptionsSchema, promptOptionsSchema } from '../../pairs/candidates/options.js';
import { classifyOptionsSchema } from '../../pairs/classify/options.js';
import { pairOptionsSchema } from '../../pairs/filter/options.js';
import { mathOptionsSchema } from '../../pairs/math/options.js';
import { feedbackUserOptionsSchema } from '../../pairs/personas/feedback-user-options.js';
import { personaOptionsSchema } from '../../pairs/personas/persona-options.js';
import { rankOptionsSchema } from '../../pairs/rank/options.js';
import { reconstructOptionsSchema } from '../../pairs/reconstruct/options.js';
import { rewriteOptionsSchema } from '../../pairs/rewrite/options.js';
import type { StageName } from '../stage-names.js';

const file = () => z.string().min(1);
const template = () =>
  file()
    .nullable()
    .default(null)
    .describe('File with the prompt (Jinja) that takes the place of the built-in one.');

export const sectionSchemas = {
  conversations: ingestOptionsSchema.omit({ output: true }),
  reconstruct: reconstructOptionsSchema,
  classify: classifyOptionsSchema.extend({ template: template() }),
  users: feedbackUserOptionsSchema.extend({ template: template() }),
  personas: personaOptionsSchema.extend({
    method: z
      .enum(['generate', 'quote', 'given'])
      .default('generate')
      .describe(
        "generate: the model sums up what the user wants (section 2.2); quote: the user's newest feedback in the user's own words, for models too small to sum up, with nothing asked; given: what a file says.",
      ),
    file: file()
      .nullable()
      .default(null)
      .describe('Personas of method given: JSONL rows with user (as in conversations.parquet) and persona.'),
    template: template(),
  }),
  math: mathOptionsSchema.extend({
    input: z
      .union([file(), z.array(file()).min(1)])
      .transform((value) => (Array.isArray(value) ? value : [value]))
      .describe("Graded solutions in PRM800K's format, JSONL: a file or a list of them."),
    problemTemplate: template(),
    feedbackTemplate: template(),
  }),
  rewrite: rewriteOptionsSchema.extend({
    source: z
      .enum(['rewrite', 'scratch', 'logged'])
      .default('rewrite')
      .describe(
        'Where better answers come from. rewrite: made anew in the light of what the user said (section 2.3); scratch: made anew without it, the baseline of section 3.3; logged: the answer that the log has after it, with no model asked. Math conversations are always rewritten.',
      ),
    template: template(),
  }),
  prompts: promptOptionsSchema,
  candidates: candidateOptionsSchema,
  rank: rankOptionsSchema,
  pairs: pairOptionsSchema,
} as const;

/** Stages with a section of options of their own; training has TRL's. */
export type SectionName = keyof typeof sectionSchemas;
export const SECTION_NAMES = Object.keys(sectionSchemas) as SectionName[];

export type SectionInput<Name extends SectionName> = z.input<(typeof sectionSchemas)[Name]>;
export type SectionOptions<Name extends SectionName> = z.output<(typeof sectionSchemas)[Name]>;

/** The options of each stage; null for one that is not done. */
export type Sections = { [Name in SectionName]: SectionOptions<Name> | null };

/** Stages that may ask a language model. */
export const ASKING_STAGES = [
  'reconstruct',
  'classify',
  'users',
  'personas',
  'rewrite',
  'candidates',
] as const;
export type AskingStage = (typeof ASKING_STAGES)[number];

export function isAsking(stage: StageName): stage is AskingStage {
  return (ASKING_STAGES as readonly string[]).includes(stage);
}

/** Whether a stage asks a model with these options. */
export function asksModel(stage: AskingStage, sections: Sections): boolean {
  const { users, personas, rewrite, math } = sections;
  if (sections[stage] === null) return false;
  if (stage === 'users') return users?.method !== 'rule';
  if (stage === 'personas') return personas?.method === 'generate';
  return stage !== 'rewrite' || rewrite?.source !== 'logged' || math !== null;
}
