// JSON as this API needs it: whole numbers of 64 bits keep their digits, which doubles do not.

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MARK = '\u0000whole number ';

// Whole numbers beyond what a double holds become BigInt.
export function parse(text) {
  const marked = text.replace(TOKEN, (token) => (/^-?\d{16,}$/.test(token) ? `"\\u0000whole number ${token}"` : token));
  return JSON.parse(marked, (name, value) => (typeof value === 'string' && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value));
}

// BigInt as its digits.
export const stringify = (value) => JSON.stringify(value, (name, each) => (typeof each === 'bigint' ? String(each) : each));
