/** Drawings as SVG text in light and dark, and as files. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { parse, View } from 'vega';
import { type Config, compile, type TopLevelSpec } from 'vega-lite';
import { placeFileAtomic, writeFileAtomic } from '../data/atomic-write.js';
import type { ReportPlot } from './report-data.js';
import { withoutUnseen } from './unseen.js';

export interface Palette {
  ink: string;
  muted: string;
  grid: string;
  paper: string;
  /** Colours of series, told apart also by those who see few colours; at least 3:1 against the paper. */
  series: readonly string[];
  chosen: string;
  rejected: string;
}

export const LIGHT: Palette = {
  ink: '#23282d',
  muted: '#5c646c',
  grid: '#e8e5de',
  paper: '#ffffff',
  series: ['#2c5f8a', '#b3541e', '#3b7a57', '#7a4f91', '#8a6d1a', '#a23b52'],
  chosen: '#3b7a57',
  rejected: '#b3541e',
};

export const DARK: Palette = {
  ink: '#e4e6e8',
  muted: '#a2abb3',
  grid: '#30363c',
  paper: '#1c2024',
  series: ['#7fb3e0', '#e8945a', '#7fc29b', '#c09ad6', '#d3b45c', '#e58aa0'],
  chosen: '#7fc29b',
  rejected: '#e8945a',
};

const FONT = 'system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", "Open Sans", Arial, sans-serif';

/** Characters of a label beyond which labels stand under each other. */
const LONG_LABEL = 16;

/** What of a legend depends on its labels. */
export function legendFor(labels: readonly string[]): { columns?: number; labelLimit?: number } {
  return labels.some((label) => label.length > LONG_LABEL) ? { columns: 1, labelLimit: 280 } : {};
}

/** One drawing, as it looks in a palette. */
export type Drawing = Omit<ReportPlot, 'light' | 'dark' | 'width' | 'height'> & {
  spec(palette: Palette): TopLevelSpec;
};

/** Draws it for both colour schemes. */
export async function drawPlot({ spec, title, description, ...about }: Drawing): Promise<ReportPlot> {
  const light = await svgOf(spec(LIGHT), LIGHT);
  const dark = await svgOf(spec(DARK), DARK);
  const size = (side: string) => Number(new RegExp(`${side}="([\\d.]+)"`).exec(light)?.[1] ?? 0);
  return {
    ...about,
    title: drawable(title),
    description: drawable(description),
    width: size('width'),
    height: size('height'),
    light,
    dark,
  };
}

/** What no XML may hold beside controls: halves of pairs of surrogates, and two that are no characters. */
const NOT_XML = /[\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function drawable(text: string): string {
  return withoutUnseen(text).replace(NOT_XML, '\ufffd');
}

async function svgOf(spec: TopLevelSpec, palette: Palette): Promise<string> {
  const config = { ...configOf(palette), ...spec.config };
  const view = new View(parse(compile({ ...spec, config }).spec), { renderer: 'none' });
  try {
    return drawable(await view.toSVG());
  } finally {
    view.finalize();
  }
}

function configOf({ ink, muted, grid, paper }: Palette): Config {
  return {
    font: FONT,
    background: paper,
    padding: { left: 6, right: 10, top: 6, bottom: 6 },
    axis: {
      labelFontSize: 12,
      titleFontSize: 12,
      titleFontWeight: 'normal',
      titlePadding: 8,
      labelColor: muted,
      titleColor: muted,
      gridColor: grid,
      domainColor: grid,
      tickColor: grid,
      labelLimit: 180,
    },
    legend: {
      labelFontSize: 12,
      labelColor: ink,
      title: null,
      orient: 'bottom',
      direction: 'horizontal',
      offset: 12,
      symbolStrokeWidth: 2.5,
      labelLimit: 170,
      columns: 2,
    },
    view: { stroke: null },
  };
}

/** Writes a drawing, in its light colours, as `FOLDER/NAME.svg` and `FOLDER/NAME.png` (twice the size). */
export async function writePlot({ name, light }: ReportPlot, folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const [svg, png] = [join(folder, `${name}.svg`), join(folder, `${name}.png`)];
  await writeFileAtomic(svg, light);
  await placeFileAtomic(png, async (path) => {
    await sharp(Buffer.from(light), { density: 144 }).flatten({ background: 'white' }).png().toFile(path);
  });
  return [svg, png];
}
