/** What the analysis of data can be told; the same options serve flags and code. */

import { z } from 'zod';

export const analysisOptionsSchema = z.object({
  samples: z
    .number()
    .int()
    .min(2)
    .default(500)
    .describe('Contexts of each set that are drawn and embedded (section 2.2: 500).'),
  resamples: z
    .number()
    .int()
    .min(1)
    .default(1000)
    .describe('How often contexts are drawn anew for the interval of the diversity.'),
  neighbors: z
    .number()
    .int()
    .min(2)
    .default(15)
    .describe('Neighbours of a context that the map keeps near it (UMAP); fewer show finer detail.'),
  maxPersonas: z
    .number()
    .int()
    .min(1)
    .default(5000)
    .describe(
      'Personas whose preferences are counted, drawn at random where there are more (Table 1: 5000).',
    ),
  seed: z.number().int().min(0).default(0).describe('Seed of everything that is drawn.'),
});

export type AnalysisOptions = z.input<typeof analysisOptionsSchema>;
export type ResolvedAnalysisOptions = z.output<typeof analysisOptionsSchema>;
