/** What is looked at in a page of any report. */

import type { Page } from 'playwright-core';

/** Opens everything that is folded, and what is folded in it. */
export async function unfoldAll(page: Page): Promise<void> {
  for (let depth = 0; depth < 4; depth++) {
    const closed = await page.evaluate(() => {
      const details = [...document.querySelectorAll<HTMLDetailsElement>('details:not([open])')];
      for (const each of details) each.open = true;
      return details.length;
    });
    if (closed === 0) return;
    await page.waitForFunction(() =>
      [...document.querySelectorAll('details[open] > .folded-body')].every(
        (body) => body.childNodes.length > 0,
      ),
    );
  }
}

/** Texts that stand out from their ground by less than WCAG's AA asks for: 4.5 to 1, of large ones 3 to 1. */
export async function lowContrasts(page: Page): Promise<string[]> {
  return await page.evaluate(() => {
    const channels = (color: string) => (color.match(/[\d.]+/g) ?? []).map(Number);
    const luminance = (color: string) => {
      const [red = 0, green = 0, blue = 0] = channels(color).map((value) => {
        const share = value / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const groundOf = (element: Element | null): string => {
      if (element === null) return 'rgb(255, 255, 255)';
      const color = getComputedStyle(element).backgroundColor;
      return (channels(color)[3] ?? 1) === 0 ? groundOf(element.parentElement) : color;
    };
    const found = new Set<string>();
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const element = texts.currentNode.parentElement;
      if (element === null || (texts.currentNode.textContent ?? '').trim() === '') continue;
      if (element.closest('script, style, noscript, .unseen-label, option, :disabled') !== null) continue;
      const style = getComputedStyle(element);
      const [light = 0, dark = 0] = [luminance(style.color), luminance(groundOf(element))].sort(
        (a, b) => b - a,
      );
      const ratio = (light + 0.05) / (dark + 0.05);
      const size = Number.parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      if (ratio < (large ? 3 : 4.5)) {
        found.add(
          `${ratio.toFixed(2)} ${style.color} on ${groundOf(element)}: ${element.textContent?.slice(0, 40)}`,
        );
      }
    }
    return [...found];
  });
}
