/**
 * The `tf` of this package: the very module that a user gets from `@tensorflow/tfjs`, so that there is one engine.
 * Importing it starts nothing; losses and oracles run on tfjs' own CPU backend until TensorFlow is asked for.
 */

import * as tf from '@tensorflow/tfjs';

export { tf };
