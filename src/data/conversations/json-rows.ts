/**
 * The rows of a JSON file as raw bytes, one at a time: the lines of JSONL, the elements of a list, the elements of
 * a list that one object is wrapped around (`{"conversations": [...]}`), or one object over several lines.
 */
import { arraySplitter, lineSplitter, type RawRow, type Splitter, wholeSplitter } from '../row-stream.js';

/** How far into a file its form is looked for, in bytes. */
const HEAD_BYTES = 1 << 20;

/**
 * Splits the bytes of `path` into rows; a row longer than `maxRowBytes` is cut and marked.
 *
 * @param turnColumns names of the lists of messages, by which a list of conversations is known
 * @throws DataError when a list is not closed: the file is cut short
 */
export async function* splitJsonRows(
  path: string,
  chunks: AsyncIterable<Buffer>,
  maxRowBytes: number,
  turnColumns: readonly string[],
): AsyncGenerator<RawRow> {
  let head: Buffer | undefined = Buffer.alloc(0);
  let splitter: Splitter | undefined;
  const start = (bytes: Buffer): Generator<RawRow> => {
    const begin = formOf(withoutMark(bytes), turnColumns);
    splitter =
      begin.form === 'lines'
        ? lineSplitter(maxRowBytes)
        : begin.form === 'whole'
          ? wholeSplitter(maxRowBytes)
          : arraySplitter(path, maxRowBytes, begin);
    return splitter.push(withoutMark(bytes).subarray(begin.offset));
  };
  for await (const chunk of chunks) {
    if (splitter !== undefined) {
      yield* splitter.push(chunk);
      continue;
    }
    head = head === undefined ? chunk : Buffer.concat([head, chunk]);
    if (head.length < HEAD_BYTES) continue;
    yield* start(head);
    head = undefined;
  }
  if (splitter === undefined) yield* start(head ?? Buffer.alloc(0));
  yield* (splitter as unknown as Splitter).end();
}

interface Form {
  form: 'lines' | 'whole' | 'list';
  /** Where the list begins. */
  offset: number;
  /** Lines before it. */
  skippedLines: number;
  /** Whether something may follow the list. */
  wrapped: boolean;
}

function formOf(head: Buffer, turnColumns: readonly string[]): Form {
  const plain = { offset: 0, skippedLines: 0, wrapped: false };
  const text = head.toString('latin1');
  const first = text.trimStart()[0];
  if (first === '[') return { form: 'list', ...plain };
  // What ends where it began is a line; a list that is wrapped within one is found when the line is parsed.
  const oneLine = text.length < HEAD_BYTES ? /^\s*\{[^\n]*\}[ \t\r]*(\n|$)/ : /^\s*\{[^\n]*\}[ \t\r]*\n/;
  if (first !== '{' || oneLine.test(text)) return { form: 'lines', ...plain };
  const offset = wrappedList(text, turnColumns);
  if (offset !== undefined) {
    return {
      form: 'list',
      offset,
      skippedLines: text.slice(0, offset).split('\n').length - 1,
      wrapped: true,
    };
  }
  // A line that breaks off where something must follow begins an object over several lines, if the next line that is
  // not blank does not begin another one.
  const severalLines = /^\s*\{([^\n]*[{[,:])?[ \t\r]*\n(?!(?:[ \t\r]*\n)*\{)/.test(text);
  return { form: severalLines ? 'whole' : 'lines', ...plain };
}

/**
 * Where the list of conversations begins in `{..., "name": [{..., "messages": [...`; undefined where the outermost
 * object is a conversation itself, or the head does not show it.
 */
function wrappedList(text: string, turnColumns: readonly string[]): number | undefined {
  let depth = 0;
  let list: number | undefined;
  let listName = '';
  let key = '';
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '"') {
      const end = stringEnd(text, i);
      if (end === undefined) return undefined;
      key = text.slice(i + 1, end);
      i = end;
    } else if (character === '{' || character === '[') {
      depth++;
      if (depth === 2 && character === '[') {
        list = i;
        listName = key;
      }
      if (depth === 4 && list !== undefined && character === '[' && turnColumns.includes(key)) return list;
    } else if (character === '}' || character === ']') {
      depth--;
      // The first element has no messages: this is a list of something else, such as of messages.
      if (depth === 2 && list !== undefined) {
        if (turnColumns.includes(listName)) return undefined;
        list = undefined;
      }
      if (depth === 0) return undefined;
    }
  }
  return undefined;
}

function stringEnd(text: string, start: number): number | undefined {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i;
  }
  return undefined;
}

function withoutMark(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}
