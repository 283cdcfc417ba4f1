/** The page in a real browser: what it shows, what it does not let others' words do, and how it can be used. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ReportData } from '../../../src/report/report-data.js';
import { writeReport } from '../../../src/report/write-report.js';
import { startBrowser } from '../../support/browser.js';
import { reportData, reportRun } from '../fixtures.js';
import { lowContrasts, unfoldAll } from './page-checks.js';

const folder = mkdtempSync(join(tmpdir(), 'persona-dpo-page-'));
let browser: Browser | undefined;

beforeAll(async () => {
  browser = await startBrowser();
});

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Opened {
  page: Page;
  /** What the page asked for beside itself and the images that it holds. */
  requests: string[];
  /** Errors, dialogs and whatever else nothing of should be seen. */
  troubles: string[];
}

/** Opens a report, with an eye on everything that it must not do. */
async function open(url: string, options: BrowserContextOptions = {}, before?: () => void): Promise<Opened> {
  const context = await (browser as Browser).newContext(options);
  const page = await context.newPage();
  const requests: string[] = [];
  const troubles: string[] = [];
  page.on('request', (request) => {
    if (!/^(file|data):/.test(request.url())) requests.push(request.url());
  });
  page.on('pageerror', (error) => troubles.push(error.message));
  page.on('console', (message) => troubles.push(message.text()));
  page.on('dialog', (dialog) => {
    troubles.push(dialog.message());
    void dialog.dismiss();
  });
  page.on('popup', () => troubles.push('popup'));
  if (before !== undefined) await page.addInitScript(before);
  await page.goto(url);
  await page.waitForSelector('.pairs > li, #pairs .empty');
  return { page, requests, troubles };
}

async function write(data: ReportData, name: string): Promise<string> {
  const file = join(folder, name);
  await writeReport(data, file);
  return pathToFileURL(file).href;
}

/** A text that tries everything a chat log can hold. */
const hostile = (what: string) =>
  `${what}</script><script>window.struck='script'</script><img src=x onerror="window.struck='image'"><svg onload="window.struck='svg'">` +
  `<a href="javascript:window.struck='link'">x</a>" onmouseover="window.struck='attribute'" '; window.struck='js'; //` +
  `<!-- ]]> <style>*{display:none}</style><base href="https://example.org/"><iframe src="https://example.org"></iframe>` +
  `{{7*7}} \${7*7} \u202egnp.exe\u2066 \u0007 \ufeff <meta http-equiv="refresh" content="0;url=https://example.org">`;

describe('the page of a report', () => {
  test('shows words of others as words, whatever they are, and asks nothing of any network', async ({
    skip,
  }) => {
    if (browser === undefined) return skip();
    const run = reportRun('run', { pairs: 6, users: 2, text: hostile });
    const again = { ...reportRun('run', { pairs: 3, text: hostile }), name: hostile('second') };
    const data = { ...reportData([{ ...run, name: hostile('first') }, again], hostile('title')) };
    const { page, requests, troubles } = await open(await write(data, 'hostile.html'));
    await unfoldAll(page);
    await page.locator('.filters input').first().fill('onerror');
    await page.waitForFunction(() =>
      /^\d+ pairs|^\d+ of/.test(document.querySelector('#pairs [role=status]')?.textContent ?? ''),
    );
    await unfoldAll(page);
    const seen = await page.evaluate(() => ({
      struck: (window as { struck?: string }).struck ?? null,
      elements: [
        'main script',
        'main style',
        'iframe',
        'base',
        'svg',
        'object',
        'embed',
        'meta[http-equiv=refresh]',
      ].filter((selector) => document.querySelector(selector) !== null),
      handlers: [...document.querySelectorAll('*')].filter((element) =>
        element.getAttributeNames().some((name) => name.startsWith('on')),
      ).length,
      links: [...document.querySelectorAll('a')]
        .map((link) => link.getAttribute('href') ?? '')
        .filter((href) => !href.startsWith('#')),
      images: [...document.querySelectorAll('img')].filter(
        (image) => !image.src.startsWith('data:image/svg+xml;base64,'),
      ).length,
      text: document.querySelector('main')?.textContent ?? '',
      title: document.title,
    }));
    expect(seen).toMatchObject({ struck: null, elements: [], handlers: 0, links: [], images: 0 });
    expect([requests, troubles]).toEqual([[], []]);
    // Said as it was, in every place that has words of others.
    for (const what of [
      'title',
      'user-0001',
      'rewrite',
      'machine',
      'too many turns',
      'Win rates',
      'gpt-3.5-turbo',
      'candidates',
    ]) {
      const text = what === 'machine' ? 'Xeon, 16 cores, 64.0 GiB, linux x64' : what;
      expect(`${seen.text}${seen.title}`.includes(`${text}</script><script>`), what).toBe(true);
    }
    // What turns the order of letters is seen, and turns nothing.
    expect(seen.text.includes('U+202Egnp.exeU+2066')).toBe(true);
    expect(/[\u202a-\u202e\u2066-\u2069]/.test(seen.text + seen.title)).toBe(false);
    await page.context().close();
  });

  test('opens with ten thousand pairs, of which few are drawn, and finds words in all of them', async ({
    skip,
  }) => {
    if (browser === undefined) return skip();
    const run = reportRun('large', { pairs: 10_000 });
    const rare = run.pairs[9_876];
    if (rare !== undefined) rare.rejected += '\n\nand a pangolin';
    const { page, troubles } = await open(await write(reportData([run]), 'large.html'));
    expect(await page.locator('.pairs > li').count()).toBe(25);
    expect(await page.evaluate(() => document.querySelectorAll('*').length)).toBeLessThan(3000);
    const status = page.locator('#pairs [role=status]');
    expect(await status.textContent()).toBe('10,000 pairs');
    await page.getByRole('searchbox', { name: 'Search' }).first().fill('PANGOLIN');
    await status.filter({ hasText: '1 of 10,000 pairs' }).waitFor();
    await page.locator('details.pair > summary').click();
    await page.getByText('and a pangolin').first().waitFor();
    expect(troubles).toEqual([]);
    await page.context().close();
  });

  describe('of two runs', () => {
    let url = '';
    beforeAll(async () => {
      if (browser === undefined) return;
      const long = 'Donaudampfschifffahrtsgesellschaftskapitaen'.repeat(12);
      const runs = [
        reportRun('baseline', { pairs: 60 }),
        reportRun('persona-dpo', {
          pairs: 60,
          text: (what) => (what.startsWith('user-0002') ? `${what}${long}` : what),
        }),
      ];
      url = await write(reportData(runs, '2 runs compared'), 'two.html');
    });

    test('compares them, and shows the one that is chosen', async ({ skip }) => {
      if (browser === undefined) return skip();
      const { page } = await open(url);
      const compared = page.locator('#comparison');
      expect(await compared.getByRole('columnheader', { name: 'persona-dpo' }).count()).toBeGreaterThan(0);
      expect(await compared.locator('figure').count()).toBeGreaterThan(3);
      expect(await compared.locator('table').last().textContent()).toContain('67.0%');
      expect(await page.locator('#overview code').first().textContent()).toBe('runs/baseline');
      await page.getByRole('group', { name: 'Run' }).getByRole('button', { name: 'persona-dpo' }).click();
      expect(await page.locator('#overview code').first().textContent()).toBe('runs/persona-dpo');
      expect(await page.locator('.runs [aria-pressed=true]').textContent()).toBe('persona-dpo');
      await page.context().close();
    });

    test('leads to one pair, and narrows them down by user, source, reward and order', async ({ skip }) => {
      if (browser === undefined) return skip();
      const { page } = await open(`${url}#run-2-pair-38`);
      const pair = page.locator('#run-2-pair-38');
      expect(await pair.evaluate((element) => (element as HTMLDetailsElement).open)).toBe(true);
      await pair.locator('ins').first().waitFor();
      await pair.getByText('The way back').click();
      await pair.locator('.marked').getByText('the follow-up').waitFor();
      const status = page.locator('#pairs [role=status]');
      const form = page.getByRole('search', { name: 'Pairs' });
      await form.getByLabel('User').selectOption('user-0003');
      await status.filter({ hasText: '5 of 60 pairs' }).waitFor();
      await form.getByLabel('User').selectOption('');
      await form.getByLabel('Source').selectOption('scratch');
      await status.filter({ hasText: '15 of 60 pairs' }).waitFor();
      await form.getByLabel('Source').selectOption('');
      await form.getByLabel('Reward gap from').fill('1');
      await form.getByLabel('Order').selectOption('smallest-gap');
      await status.filter({ hasNotText: '60 of' }).filter({ hasText: 'of 60 pairs' }).waitFor();
      const gaps = (await page.locator('.pairs .number').allTextContents()).map((text) =>
        Number(text.slice(4)),
      );
      expect(gaps.length).toBeGreaterThan(5);
      expect(gaps).toEqual([...gaps].sort((a, b) => a - b));
      expect(gaps[0]).toBeGreaterThanOrEqual(1);
      await page.context().close();
    });

    test('is used by keyboard alone', async ({ skip }) => {
      if (browser === undefined) return skip();
      const { page } = await open(url, { reducedMotion: 'reduce' });
      const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? '');
      await page.keyboard.press('Tab');
      expect(await focused()).toBe('Skip to the content');
      await page.keyboard.press('Enter');
      await page.keyboard.press('Tab');
      expect(await page.evaluate(() => document.activeElement?.closest('main') !== null)).toBe(true);
      await page.locator('details.pair > summary').first().focus();
      expect(
        await page.evaluate(() => getComputedStyle(document.activeElement as Element).outlineStyle),
      ).toBe('solid');
      await page.keyboard.press('Enter');
      await page.locator('details.pair[open] .answer.chosen').first().waitFor();
      await page.locator('.scroll').first().focus();
      expect(await page.evaluate(() => document.activeElement?.className)).toBe('scroll');
      await page.context().close();
    });

    test('says by its structure what is what', async ({ skip }) => {
      if (browser === undefined) return skip();
      const { page } = await open(url);
      await unfoldAll(page);
      const faults = await page.evaluate(() => {
        const found: string[] = [];
        const levels = [...document.querySelectorAll('h1,h2,h3,h4')].map(({ tagName }) => Number(tagName[1]));
        if (levels.filter((level) => level === 1).length !== 1) found.push('not one h1');
        for (const kind of ['main', 'nav', 'header', 'footer'])
          if (document.querySelector(kind) === null) found.push(`no ${kind}`);
        for (const image of document.querySelectorAll('img'))
          if (image.alt === '') found.push('an image without words');
        for (const control of document.querySelectorAll('input,select'))
          if ((control as HTMLInputElement).labels?.length !== 1) found.push('a field without a name');
        for (const table of document.querySelectorAll('table'))
          if (table.querySelector('th[scope]') === null) found.push('a table without heads');
        const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
        if (new Set(ids).size !== ids.length) found.push('an id twice');
        for (const link of document.querySelectorAll('nav.sections a'))
          if (document.querySelector(link.getAttribute('href') ?? '') === null)
            found.push(`${link.textContent} leads nowhere`);
        return found;
      });
      expect(faults).toEqual([]);
      await page.context().close();
    });

    test.for(['light', 'dark'] as const)('can be read on a phone (%s)', async (colorScheme, { skip }) => {
      if (browser === undefined) return skip();
      const { page } = await open(url, {
        viewport: { width: 390, height: 844 },
        colorScheme,
        reducedMotion: 'reduce',
      });
      await unfoldAll(page);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
      expect(await lowContrasts(page)).toEqual([]);
      const drawn = await page
        .locator('#training img')
        .first()
        .evaluate((image) => atob((image as HTMLImageElement).currentSrc.split(',')[1] ?? ''));
      expect(drawn).toContain(colorScheme === 'dark' ? '#1c2024' : '#ffffff');
      await page.context().close();
    });

    test('unpacks by itself where the browser does not', async ({ skip }) => {
      if (browser === undefined) return skip();
      const { page, troubles } = await open(url, {}, () => {
        Reflect.deleteProperty(globalThis, 'DecompressionStream');
      });
      await page.locator('details.pair > summary').first().click();
      await page.locator('details.pair[open] .answer.chosen').first().waitFor();
      expect(troubles).toEqual([]);
      await page.context().close();
    });
  });

  test('of a run in which nothing is done yet says so everywhere', async ({ skip }) => {
    if (browser === undefined) return skip();
    const bare = {
      ...reportRun('bare', { pairs: 0 }),
      stages: [],
      trainings: [],
      evaluations: [],
      config: null,
    };
    const { page, troubles } = await open(await write(reportData([bare]), 'bare.html'));
    const empty = await page.locator('.empty').allTextContents();
    expect(empty).toHaveLength(8);
    expect(troubles).toEqual([]);
    await page.context().close();
  });
});
