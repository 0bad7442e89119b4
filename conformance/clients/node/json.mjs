// JSON as this API needs it: 64-bit integers keep their digits, which a double would round.

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MARK = '\u0000whole number ';

// Integers that a double may round become BigInt.
export function parse(text) {
  const marked = text.replace(TOKEN, (token) => (/^-?\d{16,}$/.test(token) ? `"\\u0000whole number ${token}"` : token));
  return JSON.parse(marked, (name, value) => (typeof value === 'string' && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value));
}

// A BigInt is written as its digits.
export const stringify = (value) => JSON.stringify(value, (name, each) => (typeof each === 'bigint' ? String(each) : each));
