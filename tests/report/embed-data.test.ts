import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { embedData, type ListedPair, type PairBlock, scriptJson } from '../../src/report/embed-data.js';
import { escapeHtml, pageHtml } from '../../src/report/page-html.js';
import { reportData, reportRun } from './fixtures.js';

const unpacked = (text: string | undefined): unknown =>
  JSON.parse(gunzipSync(Buffer.from(text ?? '', 'base64')).toString());

describe('data in a page', () => {
  test('JSON for a script element ends no element and begins no comment, and says the same', () => {
    const value = { '</script>': '<!-- <script> ]]> & \u2028\u2029 \ud800 "' };
    const json = scriptJson(value);
    expect(json).not.toMatch(/[<>&\u2028\u2029]/);
    expect(JSON.parse(json)).toEqual(value);
  });

  test('text for a title is text', () => {
    expect(escapeHtml(`<a href="x" b='y'>&`)).toBe('&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;');
  });

  test('pairs lie in blocks with the conversations that they come from', () => {
    const { page, packed } = embedData(reportData([reportRun('a', { pairs: 450 })]));
    const [run] = page.runs;
    expect(run?.blocks).toEqual(['run-0-pairs-0', 'run-0-pairs-1', 'run-0-pairs-2']);
    const last = unpacked(packed['run-0-pairs-2']) as PairBlock;
    expect(last.pairs).toHaveLength(50);
    expect(Object.keys(last.conversations)).toEqual(last.pairs.map(({ conversation }) => conversation));
    const list = unpacked(packed['run-0-list']) as ListedPair[];
    expect(list).toHaveLength(450);
    expect(list[0]).toEqual([
      'conversation-0:2',
      'user-0000',
      'rewrite',
      expect.any(Number),
      expect.any(Number),
      'How do I keep half an avocado from going brown overnight? (0)',
    ]);
    expect(JSON.stringify(page)).not.toContain('avocado from going brown overnight? (3)');
  });

  test('a conversation by the name of what objects have is one like others', () => {
    const run = reportRun('a', {
      pairs: 1,
      text: (what) => (what.startsWith('conversation-') ? '__proto__' : what),
    });
    const { packed } = embedData(reportData([run]));
    const block = gunzipSync(Buffer.from(packed['run-0-pairs-0'] ?? '', 'base64')).toString();
    expect(block).toContain('"conversations":{"__proto__":{');
  });

  test('the page allows its own script and styles and nothing else', () => {
    const html = pageHtml(embedData(reportData([reportRun('a')], '</title><script>alert(1)</script>')), []);
    expect(html).toContain('<title>&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;</title>');
    const policy = /Content-Security-Policy" content="([^"]+)"/.exec(html)?.[1];
    expect(policy).toMatch(
      /^default-src 'none'; script-src 'sha256-[\w+/=]+'; style-src 'sha256-[\w+/=]+'; img-src data:;/,
    );
    expect(html).not.toMatch(/(src|href)="(?!#|data:)/);
  });
});
