/** A Parquet file as a query that gives its rows in the one form that all checks take. */
import { type DuckDBType, DuckDBTypeId } from '@duckdb/node-api';
import { DataError } from '../../errors.js';
import { TURNS_TYPE } from './conversation-file.js';
import { type Engine, sqlName, sqlText } from './engine.js';
import {
  columnsFor,
  type FormatChoice,
  type FormatColumns,
  isHashed,
  TURN_COLUMNS,
  type TurnField,
  userFieldsOf,
} from './formats.js';
import { FIELD_SEPARATOR, USER_DIGITS } from './json-conversation.js';
import {
  MESSAGE,
  type MessageFields,
  ROW_COLUMNS,
  type RowSource,
  TURN_FIELDS,
  turnsOf,
} from './row-source.js';

/** A column or nested field: how it is written, and its type. */
interface Field {
  expression: string;
  type: DuckDBType;
}

type Lookup = (name: string) => Field | undefined;

/**
 * The query over `path`. Where the file has no list of messages, every row of it is one with missing columns.
 *
 * @throws DataError when the file cannot be read
 */
export async function parquetSource(engine: Engine, path: string, choice: FormatChoice): Promise<RowSource> {
  const from = `FROM read_parquet(${sqlText(path)}, file_row_number = true, binary_as_string = true)`;
  const fields = await fileFields(engine, path, from);
  const lookup = lookupIn(fields);
  const columns = columnsFor(choice, (name) => lookup(name) !== undefined);
  const list = columns === undefined ? undefined : firstField(lookup, columns.turns);
  const turn = list === undefined ? undefined : messageFields(list.type);
  if (columns === undefined || list === undefined || turn === undefined) {
    const problem = `expected ${(columns?.turns ?? TURN_COLUMNS).join(' or ')} as a list of messages, got only ${[...fields.keys()].join(', ')}`;
    return missingColumns(problem, from);
  }
  const time = timeOf(firstField(lookup, columns.time));
  const message = messageFieldsOf(turn, columns);
  const hasSystem = firstField(lookup, columns.system) !== undefined;
  const query = `SELECT file_row_number + 1 AS number, number AS row,
    CASE WHEN ${list.expression} IS NULL THEN 'missing-columns' END AS problem,
    CASE WHEN ${list.expression} IS NULL THEN 'there is no list of messages' END AS detail,
    ${textOf(firstField(lookup, columns.id))} AS id,
    ${userOf(lookup, columns)} AS "user",
    ${textOf(firstField(lookup, columns.model))} AS model,
    ${textOf(firstField(lookup, columns.language))} AS language,
    ${time.value} AS time,
    ${time.unreadable} AS bad_time,
    ${flagOf(firstField(lookup, columns.toxic))} AS toxic,
    ${flagOf(firstField(lookup, columns.redacted))} AS redacted,
    ${rawMessages(list, message, firstField(lookup, columns.system))} AS raw
    ${from}`;
  return { query, message: hasSystem ? TURN_FIELDS : message };
}

/** Every row of a file in which there are no messages. */
function missingColumns(detail: string, from: string): RowSource {
  const columns: Readonly<Record<string, string>> = { problem: "'missing-columns'", detail: sqlText(detail) };
  const values = Object.entries({ ...ROW_COLUMNS, raw: TURNS_TYPE }).map(
    ([name, type]) => `${columns[name] ?? `NULL::${type}`} AS ${sqlName(name)}`,
  );
  return {
    query: `SELECT file_row_number + 1 AS number, number AS row, ${values.join(', ')} ${from}`,
    message: TURN_FIELDS,
  };
}

/** Rows of a Parquet file, by its own account. */
export async function parquetRowCount(engine: Engine, path: string): Promise<number> {
  const [row] = await engine.all<{ rows: bigint }>(
    `SELECT num_rows AS rows FROM parquet_file_metadata(${sqlText(path)})`,
  );
  return Number(row?.rows ?? 0);
}

async function fileFields(engine: Engine, path: string, from: string): Promise<Map<string, DuckDBType>> {
  try {
    const result = await engine.stream(`SELECT * EXCLUDE (file_row_number) ${from} LIMIT 0`);
    const types = result.columnTypes();
    return new Map(result.columnNames().map((name, index) => [name, types[index] as DuckDBType]));
  } catch (cause) {
    throw new DataError(`It cannot be read as Parquet (${(cause as Error).message.split('\n')[0]}).`, {
      file: path,
      cause,
    });
  }
}

/** Finds a column by name; a dot leads into a struct. */
function lookupIn(fields: ReadonlyMap<string, DuckDBType>, within = ''): Lookup {
  return (name) => {
    const own = fields.get(name);
    if (own !== undefined) return { expression: `${within}${sqlName(name)}`, type: own };
    const dot = name.indexOf('.');
    const outer = dot === -1 ? undefined : fields.get(name.slice(0, dot));
    if (outer?.typeId !== DuckDBTypeId.STRUCT) return undefined;
    return lookupIn(structFields(outer), `${within}${sqlName(name.slice(0, dot))}.`)(name.slice(dot + 1));
  };
}

function structFields(type: DuckDBType): Map<string, DuckDBType> {
  if (type.typeId !== DuckDBTypeId.STRUCT) return new Map();
  const { entryNames, entryTypes } = type;
  return new Map(entryNames.map((name, index) => [name, entryTypes[index] as DuckDBType]));
}

/** The fields of the messages, where a column is a list of structs. */
function messageFields(type: DuckDBType): Lookup | undefined {
  if (type.typeId !== DuckDBTypeId.LIST) return undefined;
  const fields = structFields(type.valueType);
  return fields.size === 0 ? undefined : lookupIn(fields, `${MESSAGE}.`);
}

function firstField(lookup: Lookup, names: readonly string[]): Field | undefined {
  return names.map(lookup).find((field) => field !== undefined);
}

function messageFieldsOf(turn: Lookup, columns: FormatColumns): MessageFields {
  const of = (field: TurnField) => firstField(turn, columns[field]);
  return {
    role: textOf(of('role')),
    content: textOf(of('content')),
    language: textOf(of('turnLanguage')),
    time: timeOf(of('turnTime')).value,
    toxic: flagOf(of('turnToxic')),
    redacted: flagOf(of('turnRedacted')),
  };
}

/** The list as the file has it; in our own form, if a system prompt from beside it is put before it. */
function rawMessages(list: Field, message: MessageFields, system: Field | undefined): string {
  if (system === undefined) return list.expression;
  const turns = turnsOf(message, list.expression);
  const prompt = textOf(system);
  const first = `{'role': 'system', 'content': ${prompt}, 'language': NULL::VARCHAR, 'time': NULL::TIMESTAMPTZ, 'toxic': NULL::BOOLEAN, 'redacted': NULL::BOOLEAN}`;
  return `CASE WHEN is_blank(${prompt}) OR len(${list.expression}) = 0 THEN ${turns} ELSE list_prepend(${first}, ${turns}) END`;
}

function userOf(lookup: Lookup, columns: FormatColumns): string {
  const names = userFieldsOf(columns, (name) => lookup(name) !== undefined);
  const [first, ...others] = names.map((name) => textOf(lookup(name)));
  if (first === undefined) return 'NULL::VARCHAR';
  const separator = `chr(${FIELD_SEPARATOR.charCodeAt(0)})`;
  const key = [first, ...others.map((value) => `coalesce(${value}, '')`)].join(` || ${separator} || `);
  const user = isHashed(names) ? `sha256(${key})[:${USER_DIGITS}]` : key;
  return `CASE WHEN ${first} <> '' THEN ${user} END`;
}

function textOf(field: Field | undefined): string {
  if (field === undefined) return 'NULL::VARCHAR';
  return field.type.typeId === DuckDBTypeId.VARCHAR ? field.expression : `${field.expression}::VARCHAR`;
}

function flagOf(field: Field | undefined): string {
  if (field === undefined) return 'NULL::BOOLEAN';
  return field.type.typeId === DuckDBTypeId.BOOLEAN
    ? field.expression
    : `try_cast(${field.expression} AS BOOLEAN)`;
}

const TIME_TYPES: readonly DuckDBTypeId[] = [
  DuckDBTypeId.TIMESTAMP,
  DuckDBTypeId.TIMESTAMP_TZ,
  DuckDBTypeId.TIMESTAMP_S,
  DuckDBTypeId.TIMESTAMP_MS,
  DuckDBTypeId.TIMESTAMP_NS,
  DuckDBTypeId.DATE,
];

/** A time, and whether there is one that cannot be read. Times without a zone are UTC. */
function timeOf(field: Field | undefined): { value: string; unreadable: string } {
  if (field === undefined) return { value: 'NULL::TIMESTAMPTZ', unreadable: 'false' };
  const { expression, type } = field;
  if (TIME_TYPES.includes(type.typeId)) return { value: `${expression}::TIMESTAMPTZ`, unreadable: 'false' };
  const words = textOf(field);
  return {
    value: `time_of(${words})`,
    unreadable: `(${words} <> '' AND time_of(${words}) IS NULL)`,
  };
}
