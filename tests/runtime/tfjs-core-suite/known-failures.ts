/**
 * What of tfjs-core's suite does not pass on tfjs-node's kernels, and why. All specs run; a failure is accepted
 * only where an entry here names both the spec and the message. tfjs-node's own skip list (dist/run_tests.js) has
 * the same specs and about a hundred more that pass here.
 */

export interface KnownFailure {
  /** Start of the spec's full name, without the ` test-tensorflow {}` that tfjs-core puts after the suite's name. */
  spec: string;
  /** What the failure says. */
  message: RegExp;
  reason: string;
}

/** Suites whose kernel tfjs-node 4.22 does not have; tfjs' other backends do. */
const missingKernels: readonly { suite: string; kernel: string }[] = [
  { suite: 'bitwiseAnd', kernel: 'BitwiseAnd' },
  { suite: 'denseBincount', kernel: 'DenseBincount' },
  { suite: 'image.transform', kernel: 'Transform' },
  { suite: 'lowerBound', kernel: 'SearchSorted' },
  { suite: 'maxPoolWithArgmax', kernel: 'MaxPoolWithArgmax' },
  { suite: 'raggedGather', kernel: 'RaggedGather' },
  { suite: 'raggedRange', kernel: 'RaggedRange' },
  { suite: 'raggedTensorToTensor', kernel: 'RaggedTensorToTensor' },
  { suite: 'searchSorted', kernel: 'SearchSorted' },
  { suite: 'sparseFillEmptyRows', kernel: 'SparseFillEmptyRows' },
  { suite: 'sparseReshape', kernel: 'SparseReshape' },
  { suite: 'sparseSegmentMean', kernel: 'SparseSegmentMean' },
  { suite: 'sparseSegmentSum', kernel: 'SparseSegmentSum' },
  { suite: 'stringNGrams', kernel: 'StringNGrams' },
  { suite: 'stringSplit', kernel: 'StringSplit' },
  { suite: 'stringToHashBucketFast', kernel: 'StringToHashBucketFast' },
  { suite: 'upperBound', kernel: 'SearchSorted' },
];

const pooling = [
  'avgPool',
  'avgPool3d',
  'conv2dTranspose',
  'maxPool',
  'maxPool3d',
  'maxPoolBackprop',
  'pool',
];

const stringComparisons = ['greater', 'greaterEqual', 'less', 'lessEqual'];

export const knownFailures: readonly KnownFailure[] = [
  ...missingKernels.map(({ suite, kernel }) => ({
    spec: suite,
    message: new RegExp(`Kernel '${kernel}' not registered`),
    reason: `tfjs-node has no ${kernel} kernel`,
  })),
  ...pooling.map((suite) => ({
    spec: suite,
    message: /supports only 'valid' and 'same' padding/,
    reason: "tfjs-node's kernels refuse explicit padding",
  })),
  ...stringComparisons.map((suite) => ({
    spec: `${suite} should support string comparison`,
    message: /attr 'T' of string is not in the list of allowed values/,
    reason: 'TensorFlow orders no strings',
  })),
  {
    spec: 'fused conv2d',
    message: /does not support dataFormat:'NCHW'/,
    reason: "tfjs-node's fused convolution refuses NCHW",
  },
  {
    spec: 'avgPool3d x=[1,1,1,1,1] f=[1,1,3] s=1 p=valid',
    message: /Computed output size would be negative/,
    reason: 'the filter is longer than its input: an empty result to tfjs, an error to TensorFlow',
  },
  {
    spec: 'conv2dTranspose input=8x8x8,output=4x4x8,f=8,s=1,inDepth=8,p=same vec4',
    message: /convolution forward propagation primitive/,
    reason: 'the shapes contradict each other, which oneDNN notices and tfjs does not',
  },
  {
    spec: 'diag bool',
    message: /attr 'T' of bool is not in the list of allowed values/,
    reason: "TensorFlow's Diag takes numbers only",
  },
  {
    spec: 'einsum 2d matrix calculate trace: duplicate axes not implemented yet',
    message: /Expected function to throw/,
    reason: 'the spec expects a refusal; TensorFlow computes the trace',
  },
  {
    spec: 'einsum nonexistent dimension throws error',
    message: /Expected function to throw/,
    reason: 'the spec expects a refusal; TensorFlow broadcasts',
  },
  {
    spec: 'leakyrelu int32',
    message: /attr 'T' of int32 is not in the list of allowed values/,
    reason: "TensorFlow's LeakyRelu takes floating-point numbers only",
  },
  {
    spec: 'step kernel with int32 tensor',
    message: /IsNan\(int32\[4\]\) failed/,
    reason: "tfjs-node's step asks TensorFlow whether integers are NaN, which it refuses",
  },
  {
    spec: 'multinomial creates the same data given the same seed',
    message: /Arrays differ/,
    reason: "TensorFlow's generator moves on between two calls with one seed",
  },
  {
    spec: 'sign',
    message: /actual\[\d\] = NaN, expected\[\d\] = 0/,
    reason: "the sign of NaN is NaN to TensorFlow and 0 to tfjs' other backends",
  },
  {
    spec: 'tan numbers exceed float32 precision',
    message: /Arrays differ/,
    reason: 'the spec compares one last bit of float32 at a pole of tan',
  },
  {
    spec: 'unique 1d tensor with NaN and Infinity',
    message: /to equal/,
    reason: 'each NaN is unique to TensorFlow; tfjs counts them as one',
  },
];

/** What tfjs-core itself has switched off (`xit`). */
export const disabledByTfjs: readonly string[] = [
  'debug on A x B',
  'IS_BROWSER isBrowser: true',
  'IS_BROWSER isBrowser: false',
  'kernel_registry errors when registering the same kernel twice',
  'gradient registry warning when registering the same gradient twice',
];
