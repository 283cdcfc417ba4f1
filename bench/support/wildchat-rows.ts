/** Rows of WildChat's shape, as a statement of the engine that writes them to a Parquet file; the same every time. */

/** Words are made of these; the text is nobody's, but compresses about like text. */
const SYLLABLES = 'ka re mo ti lu sen dor vi pan cho es ran tal ne gu ish om del fri quo ber ast in ul'.split(
  ' ',
);
const WORDS = 30_000;
const SENTENCES = 32_768;

/**
 * Statements that write `rows` rows to `path`: all columns of WildChat-1M but the scores of moderation, which nothing
 * here reads. Shares follow the paper and the data set's card where they say so: 2.5 turns on average, longer first
 * requests than follow-ups, half of the users write English, one in twelve conversations is a Midjourney prompt; a
 * quarter of the conversations come from people who were there once, a quarter from programs that were there hundreds
 * of times.
 */
export function wildchatRows(path: string, rows: number): string[] {
  const roll = (name: string, sides: number) => `(hash(i, '${name}') % ${sides})::BIGINT`;
  const list = (texts: readonly string[]) => `[${texts.map((text) => `'${text}'`).join(', ')}]`;
  const programs = Math.max(2, Math.round(rows / 1600));
  const regulars = Math.max(10, Math.round(rows / 14));
  const english = "(hash(who, 'language') % 100) < 53";
  const isUser = 'k % 2 = 0';
  const sentences = `CASE WHEN k = 0 THEN 1 + hash(i, k) % 6 WHEN ${isUser} THEN 1 + hash(i, k) % 3 ELSE 2 + hash(i, k) % 9 END`;
  const midjourney = `'As a prompt generator for an AI named "Midjourney" you write prompts for images. '`;
  return [
    `CREATE TABLE words AS SELECT list(word ORDER BY i) AS words FROM (
       SELECT i, array_to_string(list_transform(range(2 + ${roll('length', 3)}),
         lambda k: (${list(SYLLABLES)})[1 + (hash(i, k) % ${SYLLABLES.length})::BIGINT]), '') AS word FROM range(${WORDS}) t(i))`,
    `CREATE TABLE sentences AS SELECT list(sentence ORDER BY i) AS pool FROM (
       SELECT i, array_to_string(list_transform(range(8 + ${roll('length', 16)}),
         lambda k: words[1 + (hash(i, k) % ${WORDS} * (hash(k, i) % ${WORDS}) // ${WORDS})::BIGINT]), ' ') || '. ' AS sentence
       FROM range(${SENTENCES}) t(i), words)`,
    `COPY (
       WITH people AS NOT MATERIALIZED (
         SELECT i, CASE WHEN ${roll('kind', 4)} = 0 THEN 'once' || i
           WHEN ${roll('kind', 4)} = 1 THEN 'program' || ${roll('who', programs)}
           ELSE 'regular' || (${regulars} * pow(${roll('who', 1_000_000)} / 1e6, 1.4))::BIGINT END AS who FROM range(${rows}) t(i)),
       facts AS NOT MATERIALIZED (
         SELECT i, CASE WHEN ${english} THEN 'English' ELSE 'Chinese' END AS language, sha256(who) AS hashed_ip,
           {'accept-language': CASE WHEN ${english} THEN 'en-US,en;q=0.9' ELSE 'zh-CN,zh;q=0.9' END,
            'user-agent': 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/' ||
              (100 + hash(who) % 20) || '.0.0.0 Safari/537.36'} AS header,
           to_timestamp(1681000000 + i * 30) AS time,
           CASE WHEN ${roll('turns', 100)} < 55 THEN 1 WHEN ${roll('turns', 100)} < 72 THEN 2 WHEN ${roll('turns', 100)} < 84 THEN 3
             WHEN ${roll('turns', 100)} < 92 THEN 5 WHEN ${roll('turns', 100)} < 97 THEN 8 ELSE 12 END AS turn,
           ${roll('midjourney', 12)} = 0 AS draws, ${roll('toxic', 100)} < 8 AS toxic, ${roll('redacted', 100)} < 3 AS redacted
         FROM people)
       SELECT md5(i::VARCHAR) AS conversation_hash, 'gpt-3.5-turbo-0301' AS model, time AS timestamp,
         list_transform(range(2 * turn), lambda k: {
           'content': CASE WHEN draws AND k = 0 THEN ${midjourney} ELSE '' END ||
             array_to_string(list_transform(range((${sentences})::BIGINT), lambda j: pool[1 + (hash(i, k, j) % ${SENTENCES})::BIGINT]), ''),
           'country': CASE WHEN ${isUser} THEN 'United States' END,
           'hashed_ip': CASE WHEN ${isUser} THEN hashed_ip END,
           'header': CASE WHEN ${isUser} THEN header END,
           'language': language, 'redacted': redacted,
           'role': CASE WHEN ${isUser} THEN 'user' ELSE 'assistant' END,
           'state': CASE WHEN ${isUser} THEN 'California' END,
           'timestamp': CASE WHEN ${isUser} THEN NULL ELSE time END,
           'toxic': toxic AND k = 0, 'turn_identifier': i * 100 + k}) AS conversation,
         turn, language, toxic, redacted, 'California' AS state, 'United States' AS country, hashed_ip, header
       FROM facts, sentences
     ) TO '${path}' (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 8192)`,
  ];
}

/** The engine's own scan of what ingesting reads: every value of the columns is decoded and hashed. */
export function scanQuery(path: string): string {
  const columns = 'conversation_hash, model, timestamp, language, toxic, redacted, hashed_ip, header';
  return `SELECT count(*) AS rows, bit_xor(hash(${columns})) AS facts, bit_xor(hash(conversation)) AS texts FROM read_parquet('${path}')`;
}
