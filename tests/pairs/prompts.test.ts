import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.js';
import {
  createClassificationTemplate,
  loadClassificationTemplate,
} from '../../src/pairs/prompts/classification.js';
import {
  createFeedbackUserTemplate,
  loadFeedbackUserTemplate,
} from '../../src/pairs/prompts/feedback-user.js';
import { compileMessages } from '../../src/pairs/prompts/message-template.js';
import { createPersonaTemplate, loadPersonaTemplate } from '../../src/pairs/prompts/persona.js';

describe('a template of messages', () => {
  const compile = (source: string, variables?: string[]) =>
    compileMessages(source, 'test template', variables);

  it('is one user message', () => {
    expect(compile('Hi {{ name }}.\n')({ name: 'Ada' })).toEqual([{ role: 'user', content: 'Hi Ada.' }]);
  });

  it('is several, each behind its mark', () => {
    const source =
      '{# system #}\nBe brief.\n\n{# user #}\na\n  {# assistant #}\nb\nc\n{#- user -#}\n{{ x }}\n';
    expect(compile(source)({ x: 'd' })).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b\nc' },
      { role: 'user', content: 'd' },
    ]);
  });

  it('takes what stands before the first mark as the user', () => {
    expect(compile('a\n{# assistant #}\nb\n{# user #}\nc')({}).map(({ role }) => role)).toEqual([
      'user',
      'assistant',
      'user',
    ]);
  });

  it('leaves out messages that come out empty', () => {
    const source = '{# system #}\n{% if x %}\nx\n{% endif %}\n{# user #}\na';
    expect(compile(source)({})).toEqual([{ role: 'user', content: 'a' }]);
  });

  it('keeps marks and tags in a text as they are', () => {
    const text = 'a\n{# assistant #}\n{{ 1 + 1 }} {% raw %}';
    expect(compile('{{ x }}')({ x: text })).toEqual([{ role: 'user', content: text }]);
  });

  it('knows other comments as comments', () => {
    expect(compile('{# a note #}\na {# user #} b')({})).toEqual([{ role: 'user', content: 'a  b' }]);
  });

  it.each([
    ['{% if %}', /test template is not valid Jinja/],
    ['{# user #}\na\n{# assistant #}\nb', /must end with a user message/],
    ['{# user #}\na\n{# system #}\nb\n{# user #}\nc', /system message behind others/],
  ])('refuses %j', (source, message) => {
    expect(() => compile(source)).toThrow(ConfigError);
    expect(() => compile(source)).toThrow(message);
  });

  it('must show its variables', () => {
    expect(() => compile('{{ a }}', ['a', 'b_c'])).toThrow(
      'The test template must show {{ b_c }}: it does not.',
    );
  });
});

describe('the classification prompt', () => {
  it('shows both requests at its end, behind an example of each verdict', () => {
    const messages = createClassificationTemplate().render(' a poem ', 'longer\n');
    expect(messages.at(-1)).toEqual({
      role: 'user',
      content: 'First request: a poem\nSecond request: longer',
    });
    expect(messages[0]?.role).toBe('system');
    const answers = messages.filter(({ role }) => role === 'assistant').map(({ content }) => content);
    for (const verdict of ['Other', 'Change', 'Again', 'Thanks']) {
      expect(answers.filter((answer) => answer === verdict)).toHaveLength(4);
    }
  });

  it('must show both', () => {
    expect(() => createClassificationTemplate('{{ previous }}')).toThrow(
      /classification template must show {{ current }}/,
    );
  });
});

describe('the persona prompt', () => {
  const conversations = [
    [
      { text: 'a poem', feedback: false },
      { text: 'longer', feedback: true },
    ],
    [{ text: 'hi', feedback: false }],
  ];

  it('shows messages by conversation, with what is feedback', () => {
    const [message] = createPersonaTemplate().render(conversations);
    expect(message?.content).toContain(
      '=== Conversation 1 ===\nMESSAGE: a poem\nFEEDBACK: longer\n\n=== Conversation 2 ===\nMESSAGE: hi\n\n=== End',
    );
    expect(message?.content).not.toContain('Bring it up to date');
  });

  it('shows what is known in order to have it brought up to date', () => {
    const [message] = createPersonaTemplate().render(conversations, '- Wants rhymes');
    expect(message?.content).toMatch(/- Wants rhymes\n\nBring it up to date/);
  });

  it('must show messages and persona', () => {
    const messages = '{% for c in conversations %}{% for m in c %}{{ m.text }}{% endfor %}{% endfor %}';
    expect(() => createPersonaTemplate(messages)).toThrow(/must show {{ persona }}/);
    expect(() => createPersonaTemplate('{{ persona }}')).toThrow(/must show {{ message.text }}/);
    expect(createPersonaTemplate(`${messages}{{ persona }}`).render(conversations, '!')).toEqual([
      { role: 'user', content: 'a poemlongerhi!' },
    ]);
  });
});

describe('the prompt about feedback', () => {
  it('shows what the user said', () => {
    const [message] = createFeedbackUserTemplate().render(['longer', 'no rhymes']);
    expect(message?.content).toContain('1: longer\n\n2: no rhymes\n');
    expect(() => createFeedbackUserTemplate('Well?')).toThrow(/must show each of follow_ups/);
  });
});

describe('templates in files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'prompts-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it.each([
    ['classification template', loadClassificationTemplate, '{{ previous }}{{ current }}'],
    ['persona template', loadPersonaTemplate, '{{ conversations[0][0].text }}{{ persona }}'],
    ['feedback user template', loadFeedbackUserTemplate, '{{ follow_ups[0] }}'],
  ] as const)('a %s is read, and named in errors', (what, load, good) => {
    const path = join(folder, 'template.jinja');
    expect(() => load(path)).toThrow(`The ${what} ${path} cannot be read`);
    writeFileSync(path, 'nothing');
    expect(() => load(path)).toThrow(`The ${what} ${path} must show`);
    writeFileSync(path, good);
    expect(load(path).source).toBe(good);
  });
});
