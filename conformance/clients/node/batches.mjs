// Splits encoded rows into requests, by count and by exact bytes, and decides which requests may be in flight together.

import { InvalidRecord } from './encode.mjs';

const HEAD = '{"records":[', TAIL = ']}', AROUND = HEAD.length + TAIL.length - 1; // each row is counted with a comma, which the last one lacks

export const bodyOf = (rows) => `${HEAD}${rows.map((row) => row.json).join(',')}${TAIL}`;

// Collects rows { index, json, key } until a request is full. `ends` are the boundaries of earlier runs, which are kept:
// [{ row, maxBytes }], where `row` is the position of the first row after a batch.
export class Batcher {
  #held = [];
  #bytes = AROUND;

  constructor(size, maxBytes, ends = []) {
    Object.assign(this, { size, maxBytes, ends: [...ends] });
  }

  // Returns the batches that are complete before this row, or with it. Throws if the row is too large for any request.
  add(row) {
    const made = [];
    while (this.ends.length && row.index >= this.ends[0].row) {
      this.ends.shift();
      made.push(...this.flush());
    }
    const [end] = this.ends, most = end ? end.maxBytes : this.maxBytes, more = Buffer.byteLength(row.json) + 1;
    if (AROUND + more > most) {
      const problem = new InvalidRecord(row.index, null, `needs a request of ${AROUND + more} bytes, and at most ${most} are allowed`);
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

// The batches in flight. Two rows with the same key are never in flight together, so that the last one wins.
export class UnderWay {
  #keys = new Map();

  constructor(concurrency) {
    this.concurrency = concurrency;
  }

  get size() {
    return this.#keys.size;
  }

  // `kept` is the number of batches that wait for the service during an outage; they make room for others.
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
