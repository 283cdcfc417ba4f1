import { describe, expect, it } from 'vitest';
import { splitAnswer } from '../../../src/pairs/math/answers.js';

describe('final answers', () => {
  it('stand under a heading of their own', () => {
    expect(splitAnswer('So it is 7.\n\n# Answer\n\n7')).toEqual({ text: 'So it is 7.', answer: '7' });
    expect(splitAnswer('# Answer\n\n\\frac{1}{2}\n')).toEqual({ text: '', answer: '\\frac{1}{2}' });
    expect(splitAnswer(' So it is 7. ')).toEqual({ text: 'So it is 7.' });
    expect(splitAnswer('# Answer\n\n')).toEqual({ text: '# Answer' });
  });
});
