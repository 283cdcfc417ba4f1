import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PreferencePair } from '../../src/data/pairs.js';
import { loadPersonaTemplate } from '../../src/data/persona-prompt.js';
import { tokenizePairs } from '../../src/data/tokenize.js';
import { loadRewardModel } from '../../src/rewards/load-reward-model.js';
import { loadBackbone } from '../../src/train/reward/load-backbone.js';
import { resolveTrainRewardOptions, type TrainRewardOptions } from '../../src/train/reward/reward-options.js';
import { evaluateRewards } from '../../src/train/reward/reward-pass.js';
import { TINY_CHAT_TEMPLATE, writeTinyModel } from '../support/tiny-model.js';
import { worstError } from '../support/worst-error.js';
import { openRewardWorkshop, type RewardWorkshop, wordPairs } from './reward-support.js';

let workshop: RewardWorkshop;
beforeAll(() => {
  workshop = openRewardWorkshop();
});
afterAll(() => workshop.close());

/** Some with a persona, some without, and a conversation that is too long for 400 tokens. */
function samples(): PreferencePair[] {
  const pairs = wordPairs(8, 3) as PreferencePair[];
  const long = pairs[0]!;
  const talk = ['tea', 'rain', 'wait'].flatMap((word) => [
    { role: 'user' as const, content: `${word} and the other` },
    { role: 'assistant' as const, content: `a long ${word}` },
  ]);
  return [
    ...pairs.map(({ persona, ...pair }, i) =>
      i % 3 === 0 || persona === undefined ? pair : { ...pair, persona },
    ),
    { ...long, id: 'long', prompt: [...talk, ...long.prompt] },
  ];
}

/** Rewards of the forward pass of training. */
async function trainingRewards(options: TrainRewardOptions, model: string, pairs: PreferencePair[]) {
  const { personaTemplate = null, maxLength = 512 } = options;
  const network = await loadBackbone({
    options: resolveTrainRewardOptions({ ...options, model, mode: 'head' }),
    startedAt: new Date().toISOString(),
    hub: {},
  });
  const { tokenized, truncated } = tokenizePairs(pairs, network.loaded.tokenizer!, {
    maxLength,
    ...(personaTemplate !== null && { personaTemplate: loadPersonaTemplate(personaTemplate) }),
  });
  const pass = await evaluateRewards(network.loaded.model, network.head, tokenized, {
    centerRewardsCoefficient: null,
    tokenBudget: 2048,
  });
  network.dispose();
  return { rewards: pass.pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]), truncated };
}

async function scoredRewards(folder: string, pairs: PreferencePair[]): Promise<number[]> {
  const model = await loadRewardModel(folder, { executionProvider: 'cpu', threads: 1 });
  try {
    const scores = await Promise.all(
      pairs.map(({ prompt, persona, chosen, rejected }) =>
        model.score({
          prompt,
          ...(persona !== undefined && { persona }),
          candidates: [chosen[0]!.content, rejected[0]!.content],
        }),
      ),
    );
    return scores.flat();
  } finally {
    await model.dispose();
  }
}

describe('what ONNX Runtime scores is what was trained', () => {
  it.each([
    ['head', {}],
    ['lora', { loraTargetModules: 'all-linear' }],
    ['full', {}],
    ['full', { maxLength: 400 }],
  ] as const)('mode %s, %j', async (mode, extra) => {
    const options = workshop.options(`onnx-${mode}-${Object.keys(extra).join()}`, {
      mode,
      ...extra,
      onnxDtype: 'float32',
      maxSteps: 8,
    });
    const run = await workshop.run(`onnx-${mode}-${Object.keys(extra).join()}`, options);
    const pairs = samples();
    const { rewards, truncated } = await trainingRewards(options, run.summary.model!, pairs);
    expect(truncated.prompts).toBe('maxLength' in extra ? 1 : 0);
    expect(Math.max(...rewards) - Math.min(...rewards)).toBeGreaterThan(0.01);
    expect(worstError(await scoredRewards(run.summary.onnx!, pairs), rewards)).toBeLessThan(1e-4);
  });

  it("with a chat template and a persona template of the user's own", async () => {
    const chatTemplatePath = join(workshop.folder, 'chat.jinja');
    writeFileSync(chatTemplatePath, TINY_CHAT_TEMPLATE.replaceAll('\\n', '|'));
    const personaTemplate = join(workshop.folder, 'persona.jinja');
    writeFileSync(personaTemplate, 'the person {{ persona }}');
    const options = workshop.options('templates', {
      chatTemplatePath,
      personaTemplate,
      onnxDtype: 'float32',
    });
    const run = await workshop.run('templates', options);
    const pairs = samples();
    const { rewards } = await trainingRewards(options, run.summary.model!, pairs);
    expect(worstError(await scoredRewards(run.summary.onnx!, pairs), rewards)).toBeLessThan(1e-4);
    // Without them the tokens, and so the rewards, are others.
    const { chatTemplatePath: _, personaTemplate: __, ...plain } = options;
    const other = await trainingRewards(plain, run.summary.model!, pairs);
    expect(worstError(other.rewards, rewards)).toBeGreaterThan(1e-3);
    const own = readFileSync(join(run.summary.model!, 'chat_template.jinja'), 'utf8');
    expect(own).toBe(readFileSync(chatTemplatePath, 'utf8'));
  });

  it('and a model without a tokenizer, which can score no conversation, becomes no ONNX model', async () => {
    const model = join(workshop.folder, 'ids-only');
    mkdirSync(model);
    writeTinyModel(model, { tokenizer: false });
    const pairs = workshop.write('ids.jsonl', [
      { prompt_ids: [5, 6], chosen_ids: [7], rejected_ids: [8, 9] },
    ]);
    const run = await workshop.run('ids', { model, pairs, onnxDtype: 'float32', maxSteps: 1 });
    expect(run.summary.onnx).toBeNull();
    expect(existsSync(join(run.outputDir, 'onnx'))).toBe(false);
    const notices = run.events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
    expect(notices.join()).toMatch(/no tokenizer.*no ONNX model/);
  });
});
