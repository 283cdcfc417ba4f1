import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createChatTemplate, foldSystem } from '../../src/data/chat-template.js';
import type { Message } from '../../src/data/pairs.js';
import {
  createPersonaTemplate,
  DEFAULT_PERSONA_TEMPLATE,
  loadPersonaTemplate,
  withPersona,
} from '../../src/data/persona-prompt.js';
import { ConfigError, DataError } from '../../src/errors.js';
import { LLAMA2_TEMPLATE, referenceDir, SMOLLM2_TEMPLATE } from './fixtures.js';

interface E2eCase {
  chat_template: string;
  data: { messages: Message[]; add_generation_prompt?: boolean } & Record<string, unknown>;
  target: string;
}

const user = (content: string): Message => ({ role: 'user', content });
const assistant = (content: string): Message => ({ role: 'assistant', content });
const system = (content: string): Message => ({ role: 'system', content });

describe.skipIf(!referenceDir)('chat templates against references (set PERSONA_DPO_REFERENCE_DIR)', () => {
  const read = (name: string) =>
    readFileSync(join(referenceDir as string, 'data/chat_templates', name), 'utf8');
  const cases = (): Record<string, Record<string, E2eCase>> => JSON.parse(read('hf_jinja_e2e_cases.json'));

  it('renders every upstream case', () => {
    const { TEST_DEFAULT_TEMPLATES, TEST_CUSTOM_TEMPLATES } = cases();
    // This template asks for an answer unless it is told not to; its case does not tell it.
    const unasked = 'ai21labs/AI21-Jamba-Large-1.6';
    let count = 0;
    for (const [name, { chat_template, data, target }] of Object.entries({
      ...TEST_DEFAULT_TEMPLATES,
      ...TEST_CUSTOM_TEMPLATES,
    })) {
      const { messages, add_generation_prompt = name === unasked, bos_token, eos_token, ...variables } = data;
      const template = createChatTemplate(chat_template, {
        ...(bos_token === undefined ? {} : { bosToken: bos_token as string }),
        ...(eos_token === undefined ? {} : { eosToken: eos_token as string }),
        variables,
        now: new Date(2025, 6, 10),
      });
      expect(template.render(messages, { addGenerationPrompt: add_generation_prompt }), name).toBe(target);
      count++;
    }
    expect(count).toBe(53);
  });

  it('renders what Python renders', () => {
    const custom = cases().TEST_CUSTOM_TEMPLATES as Record<string, E2eCase>;
    const sources: Record<string, string | undefined> = {
      smollm2: SMOLLM2_TEMPLATE,
      llama3_1: custom['meta-llama/Llama-3.1-8B-Instruct']?.chat_template,
      qwen2_5: custom['Qwen/Qwen2.5-7B-Instruct']?.chat_template,
    };
    let count = 0;
    for (const line of read('reference_renderings.jsonl').split('\n').filter(Boolean)) {
      const row = JSON.parse(line);
      const source = sources[row.template as string];
      if (source === undefined) continue;
      const { bos_token: bosToken, eos_token: eosToken, ...variables } = row.kwargs;
      const template = createChatTemplate(source, { bosToken, eosToken, variables });
      expect(template.render(row.messages, { addGenerationPrompt: row.add_generation_prompt })).toBe(
        row.rendered,
      );
      count++;
    }
    expect(count).toBe(48);
    const upstream = JSON.parse(read('smollm2_upstream_fixtures.json'));
    const smollm2 = createChatTemplate(SMOLLM2_TEMPLATE);
    const plain = [user('What is the capital of Japan?')];
    expect(smollm2.render(plain, { addGenerationPrompt: true })).toBe(upstream.PLAIN);
    const turns = [user('What is 2+2?'), assistant('Four.'), user('And 3+3?')];
    expect(smollm2.render(turns, { addGenerationPrompt: true })).toBe(upstream.MULTI_TURN);
  });

  it('tells apart prompt and answer in the templates of the supported models', () => {
    const custom = cases().TEST_CUSTOM_TEMPLATES as Record<string, E2eCase>;
    const frame = (name: string) =>
      createChatTemplate(custom[name]?.chat_template as string, {
        bosToken: '<s>',
        eosToken: '</s>',
      }).answerFrame();
    expect(frame('meta-llama/Llama-3.1-8B-Instruct')).toEqual({
      generationPrompt: '<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
      lead: '',
      end: '<|eot_id|>',
      trims: true,
    });
    expect(frame('Qwen/Qwen2.5-7B-Instruct')).toMatchObject({ lead: '', end: '<|im_end|>\n', trims: false });
    expect(frame('Qwen/Qwen3-0.6B').generationPrompt).toBe(
      '<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n',
    );
    expect(frame('mistralai/Mistral-Nemo-Instruct-2407')).toMatchObject({
      generationPrompt: '[/INST]',
      end: '</s>',
    });
    expect(frame('deepseek-ai/DeepSeek-R1').end).toBe('<｜end▁of▁sentence｜>');
  });
});

describe('chat template', () => {
  it('has the globals of transformers, with a date that does not follow clock or locale', () => {
    const now = new Date(2024, 6, 5, 15, 4, 9);
    const render = (source: string) => createChatTemplate(source, { now }).render([]);
    expect(render('{{ strftime_now("%d %b %Y, %B %A %a %H:%M:%S %I%p %m %y %% %q") }}')).toBe(
      '05 Jul 2024, July Friday Fri 15:04:09 03PM 07 24 % %q',
    );
    expect(
      render('{% for i in range(3) %}{{ i }}{% endfor %}{% for i in range(5, 1, -2) %}{{ i }}{% endfor %}'),
    ).toBe('01253');
    expect(render('{{ tools is none }} {{ tools is defined }} {{ True }} {{ none is none }}')).toBe(
      'true true true true',
    );
    expect(render('{% if enable_thinking is false %}off{% endif %}')).toBe('off');
  });

  it('says what a template refuses, and where it is not valid', () => {
    const template = createChatTemplate('{{ raise_exception("roles must alternate") }}');
    expect(() => template.render([user('x')])).toThrow(DataError);
    expect(() => template.render([user('x')])).toThrow(/roles must alternate/);
    expect(() => createChatTemplate('{% if %}')).toThrow(ConfigError);
    expect(() => createChatTemplate("{{ 'x' }}").answerFrame()).toThrow(/does not show the assistant/);
    const thinking =
      '{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}<think>{% endif %}';
    expect(() => createChatTemplate(thinking).answerFrame()).toThrow(/"zquserqz<think>"/);
  });

  it('puts a system message before the first user message where the template has no place for it', () => {
    const smollm2 = createChatTemplate(SMOLLM2_TEMPLATE);
    const llama2 = createChatTemplate(LLAMA2_TEMPLATE, { bosToken: '<s>', eosToken: '</s>' });
    expect([smollm2.rendersSystem, llama2.rendersSystem]).toEqual([true, false]);
    const messages = [system('Be brief.'), user('Hi'), assistant('Hello'), user('Bye')];
    expect(foldSystem(messages, smollm2)).toEqual(messages);
    expect(foldSystem(messages, llama2)).toEqual([user('Be brief.\n\nHi'), ...messages.slice(2)]);
    expect(foldSystem(messages.slice(1), llama2)).toEqual(messages.slice(1));
  });
});

describe('persona prompt', () => {
  it('is the system message, and holds the conversation’s own one', () => {
    const [only, ...rest] = withPersona([user('Hi')], ' Likes numbers.\n');
    expect(rest).toEqual([user('Hi')]);
    expect(only?.role).toBe('system');
    expect(only?.content).toMatch(/^You are writing to one particular person\./);
    expect(only?.content).toMatch(/What is known about this person: Likes numbers\.$/);
    const [merged, next] = withPersona([system('You sell cars.'), user('Hi')], 'Likes numbers.');
    expect(merged?.content).toBe(`You sell cars.\n\n${only?.content}`);
    expect(next).toEqual(user('Hi'));
    expect(withPersona([user('Hi')], '  ')).toEqual([user('Hi')]);
    expect(withPersona([system('S'), user('Hi')], undefined)).toEqual([system('S'), user('Hi')]);
  });

  it('takes the place of the default system prompt of a chat template', () => {
    const rendered = createChatTemplate(SMOLLM2_TEMPLATE).render(withPersona([user('Hi')], 'Likes numbers.'));
    expect(rendered).not.toContain('SmolLM');
    expect(rendered.match(/<\|im_start\|>system/g)).toHaveLength(1);
  });

  it('comes from a template that a user can replace', () => {
    const simple = createPersonaTemplate('Reader: {{ persona }}\n');
    expect(simple.render('A', undefined)).toBe('Reader: A');
    expect(simple.render('A', 'S')).toBe('S\n\nReader: A');
    expect(createPersonaTemplate('{{ persona }} | {{ system }}').render('A', 'S')).toBe('A | S');
    expect(createPersonaTemplate().source).toBe(DEFAULT_PERSONA_TEMPLATE);
    expect(() => createPersonaTemplate('Be nice.')).toThrow(/expected \{\{ persona \}\}/);
    expect(() => createPersonaTemplate('{{ persona')).toThrow(ConfigError);
    expect(() => loadPersonaTemplate('/no/such/file')).toThrow(/\/no\/such\/file cannot be read/);
  });

  it('renders a persona as it is, whatever signs are in it', () => {
    const persona = 'Writes {{ braces }}, {% tags %} & <b>.';
    expect(createPersonaTemplate('{{ persona }}').render(persona)).toBe(persona);
  });
});
