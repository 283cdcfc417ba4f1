/** The ways in which the commas and spaces of numbers can be meant. */
import { plainCharacters } from './words.js';

/** A comma that TeX is told to set close, which parts thousands: `14{,}916`, `32,\! 349`. */
const CLOSE_COMMA = /(?<=\d)\s?(?:\{\s?,\s?\}|,\s?\\!)\s?(?=\d)/g;
/** Thousands parted by commas, or by spaces and what stands for one. */
const COMMA_THOUSANDS = /(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])/g;
const SPACE_THOUSANDS = /(?<![\d.,]|\d\s)\d{1,3}(?:(?: |\\,|\\ |~)\d{3})+(?![\d,]|\s\d)/g;
/** A whole answer that is a number with a decimal comma. */
const DECIMAL_COMMA = /^(\s*[+-]?\s*\d+),(\d+)(\s*)$/;

/**
 * An answer as it stands, and where that makes a difference, with the commas or spaces between thousands left out:
 * `1,234` may be a list or a number.
 */
export function readingsOf(answer: string): string[] {
  const plain = plainReading(answer);
  const joined = plain
    .replaceAll(COMMA_THOUSANDS, (number) => number.replaceAll(',', ''))
    .replaceAll(SPACE_THOUSANDS, (number) => number.replaceAll(/\D/g, ''));
  return joined === plain ? [plain] : [plain, joined];
}

/** An answer that is a number with a decimal comma, with a point in its place; of others none. */
export function decimalReadings(answer: string): string[] {
  const bare = plainReading(answer).replaceAll(/\$|\\[()[\]]/g, ' ');
  return DECIMAL_COMMA.test(bare) ? [bare.replace(DECIMAL_COMMA, '$1.$2$3')] : [];
}

function plainReading(answer: string): string {
  return plainCharacters(answer)
    .replaceAll(CLOSE_COMMA, '')
    .replaceAll(/\\(?:[$£€]|text\{\s?\\?\$\s?\})|[€£]/g, '');
}
