// Encoded rows to requests, by count and by exact bytes; and which requests may be under way together.

import { InvalidRecord } from './encode.mjs';

const HEAD = '{"records":[', TAIL = ']}', AROUND = HEAD.length + TAIL.length - 1; // each row counts with a comma, and the last has none

export const bodyOf = (rows) => `${HEAD}${rows.map((row) => row.json).join(',')}${TAIL}`;

// Collects rows { index, json, key } until no more fit in one request. `ends` are those of earlier runs, which are kept
// to: [{ row, maxBytes }], `row` being the place of the first row behind a batch.
export class Batcher {
  #held = [];
  #bytes = AROUND;

  constructor(size, maxBytes, ends = []) {
    Object.assign(this, { size, maxBytes, ends: [...ends] });
  }

  // Returns the batches that are complete before the row, or with it. A row that is too large for any is thrown.
  add(row) {
    const made = [];
    while (this.ends.length && row.index >= this.ends[0].row) {
      this.ends.shift();
      made.push(...this.flush());
    }
    const [end] = this.ends, most = end ? end.maxBytes : this.maxBytes, more = Buffer.byteLength(row.json) + 1;
    if (AROUND + more > most) {
      const problem = new InvalidRecord(row.index, null, `makes a request of ${AROUND + more} bytes, and ${most} are allowed`);
      throw Object.assign(problem, { made });
    }
    if (!end && this.#bytes + more > most) made.push(...this.flush());
    this.#held.push(row);
    this.#bytes += more;
    if (!end && this.#held.length >= this.size) made.push(...this.flush());
    return made;
  }

  flush() {
    const made = this.#held.length ? [this.#held] : [];
    this.#held = [];
    this.#bytes = AROUND;
    return made;
  }
}

// Batches under way. With primary keys two rows of one key never are together, so that the last one wins.
export class UnderWay {
  #keys = new Map();

  constructor(concurrency) {
    this.concurrency = concurrency;
  }

  get size() {
    return this.#keys.size;
  }

  // `kept` are those that wait for a service that takes nothing; they make room for others.
  hasRoom(kept = 0) {
    return this.size - kept < this.concurrency && this.size < this.concurrency + Math.max(this.concurrency, 8);
  }

  mayGo(keys, kept = 0) {
    return this.hasRoom(kept) && ![...this.#keys.values()].some((held) => keys.some((key) => held.has(key)));
  }

  begin(number, keys) {
    this.#keys.set(number, new Set(keys));
  }

  end(number) {
    this.#keys.delete(number);
  }
}
