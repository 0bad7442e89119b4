// Encodes a row as JSON, once, and determines its key. Errors about values that cannot be sent name the column and what to
// do, but never contain the value, which may be confidential.

// A number that is sent with exactly these digits.
export class Decimal {
  constructor(digits) { this.digits = digits; }
}

// A date without a time.
export class PlainDate {
  constructor(text) { this.text = text; }
}

// A date and time in ISO 8601, with up to microseconds; in UTC if no zone is given.
export class Moment {
  constructor(text) { this.text = /([+-]\d\d:\d\d)$|Z$/.test(text) ? text.replace(/[+-]00:00$/, 'Z') : `${text}Z`; }
}

export class InvalidRecord extends Error {
  constructor(index, column, problem) {
    super(column === null ? `Row ${index} ${problem}.` : `Row ${index}, column '${column}' ${problem}.`);
    Object.assign(this, { kind: 'InvalidRecordError', index, column });
  }
}

class Unsendable extends Error {}

function written(value) {
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  switch (true) {
    case value === null || value === undefined || Number.isNaN(value): return 'null';
    case value === Infinity || value === -Infinity: throw new Unsendable('is infinite, which JSON cannot express. Send null or a finite number');
    case typeof value === 'string':
      if (!value.isWellFormed()) throw new Unsendable('is not valid Unicode text. Decode it correctly first');
      return JSON.stringify(value);
    case typeof value === 'number' || typeof value === 'boolean': return JSON.stringify(value);
    case typeof value === 'bigint': return String(value);
    case value instanceof Decimal: return /\d/.test(value.digits) ? value.digits : written(Number(value.digits));
    case value instanceof PlainDate || value instanceof Moment: return JSON.stringify(value.text);
    case value instanceof Date: return JSON.stringify(value);
    case kind.endsWith('Duration'): throw new Unsendable('is a duration, for which the API has no type. Send a number of seconds, or text');
    case ArrayBuffer.isView(value): throw new Unsendable('is bytes. Decode it as text first');
    case typeof value === 'object': throw new Unsendable('is an object or a list, and a row must be flat. Send its parts as columns, or as text (JSON.stringify)');
    default: throw new Unsendable(`is a ${typeof value}, which cannot be sent. Convert it to a number, text or date`);
  }
}

// Returns { json, key }; `key` is null without primary keys.
export function encode(row, index, primaryKeys = []) {
  const entries = Object.entries(row);
  if (!entries.length) throw new InvalidRecord(index, null, 'has no columns');
  const columns = entries.map(([name, value]) => {
    try {
      if (!name.isWellFormed()) throw new Unsendable('is not valid Unicode text. Decode it correctly first');
      return `${JSON.stringify(name)}:${written(value)}`;
    } catch (error) {
      throw error instanceof Unsendable ? new InvalidRecord(index, name, error.message) : error;
    }
  });
  const json = `{${columns.join(',')}}`;
  if (!primaryKeys.length) return { json, key: null };
  const key = primaryKeys.map((name) => {
    if (written(row[name]) === 'null') {
      throw new InvalidRecord(index, name, 'is null or missing, but it is a primary key, which must have a value in every row');
    }
    return keyOf(row[name]);
  });
  return { json, key: JSON.stringify(key) };
}

// Two rows have the same key if the JSON values of all key columns are equal: 1, 1.0 and 1.00 are, "1" and true are not.
export function keyOf(value) {
  if (typeof value === 'number') return ofDouble(value);
  if (!(value instanceof Decimal) && typeof value !== 'bigint') return written(value);
  const text = written(value), digits = digitsOf(text), near = Number(text);
  // A double equals both the integer that it represents exactly and the decimal that it is written as.
  const isDouble = Number.isFinite(near) && [digitsOf(near.toPrecision(100)), digitsOf(String(near))].includes(digits);
  return isDouble ? ofDouble(near) : digits;
}

// The exact value of a double if it is an integer; otherwise the decimal that it is written as.
const ofDouble = (value) => (Number.isInteger(value) && Math.abs(value) < 2 ** 64 ? digitsOf(String(BigInt(value))) : digitsOf(String(value)));

// A number's digits without leading and trailing zeros, and the power of ten of the last one.
function digitsOf(text) {
  const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text);
  const all = (whole + fraction).replace(/^0+/, ''), short = all.replace(/0+$/, '');
  return short ? `${sign}${short}e${Number(exponent) - fraction.length + all.length - short.length}` : '0e0';
}

// How a row that cannot be encoded is shown.
export const shown = (row) => {
  try {
    return JSON.stringify(row, (name, value) => (typeof value === 'bigint' || value === Infinity || value === -Infinity ? String(value) : value)) ?? String(row);
  } catch {
    return 'a row that cannot be shown';
  }
};
