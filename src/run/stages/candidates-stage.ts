import { createPersonaTemplate, loadPersonaTemplate } from '../../data/persona-prompt.js';
import { sampleCandidates } from '../../pairs/candidates/sample-candidates.js';
import type { CandidatesRow } from '../../pairs/rows.js';
import type { SectionOptions } from '../config/sections.js';
import { candidatesEstimate } from '../estimate.js';
import { readRows } from '../row-files.js';
import { candidatesSchema } from '../row-schemas.js';
import type { RunStage, StageInput } from '../stage.js';
import { askingStage } from './asking-stage.js';
import { withBooks } from './books.js';
import { promptsOf } from './prompts-stage.js';
import { fileOf, type StageSetup, stageFiles } from './setup.js';

/** Samples N answers of the policy to each prompt (Equation 2). */
export function candidatesStage(
  setup: StageSetup,
  options: SectionOptions<'candidates'>,
  prompts: StageInput,
): RunStage {
  const { personaTemplate: path, sections } = setup.config;
  const personaTemplate = path === null ? createPersonaTemplate() : loadPersonaTemplate(path);
  return askingStage(setup, {
    name: 'candidates',
    version: 1,
    options,
    templates: options.persona ? { persona_prompt: personaTemplate.source } : {},
    inputs: [prompts],
    estimate: (facts) => candidatesEstimate(facts, options, sections.prompts),
    async run(work, model) {
      const promptCount = work.expectedRows(await fileOf(prompts)) ?? 0;
      const settings = { ...options, model, personaTemplate, promptCount };
      const facts = { prompts: 0, candidates: 0, characters: 0 };
      const { outputs, counts } = await withBooks(work, async (open) => {
        const [context, candidates] = [open.context('prompts'), open.context('candidates')];
        const rows = sampleCandidates(promptsOf(prompts, setup, work), settings, context, candidates.tally);
        await open.write(stageFiles.candidates, rows, (row) => addCandidates(facts, row));
      });
      return { outputs, counts, facts };
    },
  });
}

interface CandidateFacts extends Record<string, number> {
  prompts: number;
  candidates: number;
  characters: number;
}

function addCandidates(facts: CandidateFacts, { candidates }: CandidatesRow): void {
  facts.prompts++;
  facts.candidates += candidates.length;
  facts.characters += candidates.reduce((sum, { text }) => sum + text.length, 0);
}

/** What estimates use, of candidates that are there. */
export async function candidateFacts(path: string): Promise<Record<string, number>> {
  const facts = { prompts: 0, candidates: 0, characters: 0 };
  for await (const row of readRows(path, candidatesSchema)) addCandidates(facts, row);
  return facts;
}
