/** The page itself: everything in one file, which asks nothing of any network and runs no script but its own. */

import { createHash } from 'node:crypto';
import { type EmbeddedData, scriptJson } from './embed-data.js';
import { pageScript, pageStyles } from './page-assets.js';
import type { ReportPlot } from './report-data.js';
import { withoutUnseen } from './unseen.js';

/** A drawing as the page has it: images as data URLs, which can neither run scripts nor load anything. */
export interface PagePlot extends Omit<ReportPlot, 'light' | 'dark'> {
  light: string;
  dark: string;
}

export function pageHtml({ page, packed }: EmbeddedData, plots: readonly ReportPlot[]): string {
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(pageScript)}'`,
    `style-src '${hashOf(pageStyles)}'`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
  const blocks = Object.entries(packed).map(
    ([id, text]) => `<script type="application/gzip" id="${id}">${text}</script>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>${escapeHtml(withoutUnseen(page.title))}</title>
<style>${pageStyles}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<div id="page"></div>
<noscript><p class="noscript">This report is drawn by the script that lies in it. Nothing is fetched: please allow scripts for this file.</p></noscript>
<script type="application/json" id="report-data">${scriptJson(page)}</script>
<script type="application/json" id="report-plots">${scriptJson(plots.map(pagePlot))}</script>
${blocks.join('\n')}
<script type="module">${pageScript}</script>
</body>
</html>
`;
}

function pagePlot({ light, dark, ...about }: ReportPlot): PagePlot {
  return { ...about, light: dataUrl(light), dark: dataUrl(dark) };
}

function dataUrl(svg: string): string {
  return `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`;
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

/** Text between tags or in a quoted attribute. */
export function escapeHtml(text: string): string {
  const entities: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] as string);
}
