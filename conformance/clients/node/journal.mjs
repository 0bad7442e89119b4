// Records what was sent, so that a second run can resume where the first stopped: a file of JSON Lines that is only
// appended to. Each line has entries; the last entry for a position counts. A truncated line is ignored.

import { createHash, randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { DataboxError } from './errors.mjs';

const FORMAT = 'databox journal 1';
export const digestOf = (text) => createHash('sha256').update(text).digest('hex').slice(0, 16);
export const configuration = (message) => new DataboxError('ConfigurationError', message);
const UNANSWERED = 'An earlier run ended after this was sent and before its answer was recorded: it may be stored.';
const mayBeStored = (entry) => ['sending', 'ambiguous'].includes(entry.state);

export class Journal {
  #entries = new Map(); // by the position of the first row
  #known = [];
  #about = {};

  constructor(path, about) {
    this.path = path;
    this.isNew = !existsSync(path);
    if (!this.isNew) this.#load(readFileSync(path, 'utf8'));
    this.#file = openSync(path, 'a', 0o600);
    if (this.isNew) this.#write({ format: FORMAT, about: { ...about, id: randomBytes(8).toString('hex') } });
    for (const [name, value] of Object.entries(about)) {
      if (this.#about[name] !== value) throw this.#problem(`belongs to another ingest, with the ${name} '${this.#about[name]}', not '${value}'. Use the journal of this ingest.`);
    }
    this.id = this.#about.id;
  }

  #file;

  #load(text) {
    const lines = text.split('\n');
    try {
      if (JSON.parse(lines[0]).format !== FORMAT) throw new Error();
    } catch {
      throw this.#problem('is not a journal. Use another file; this one was not changed.');
    }
    for (const line of lines) {
      try {
        this.#take(JSON.parse(line));
      } catch {
        // it is truncated, so what it records has not happened
      }
    }
    this.#known = this.#sorted();
  }

  #take({ about = {}, entries = [], gone = [] }) {
    Object.assign(this.#about, about);
    for (const first of gone) this.#entries.delete(first);
    for (const entry of entries) this.#entries.set(entry.first, entry);
  }

  #write(line) {
    this.#take(line);
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
    fsyncSync(this.#file);
  }

  #sorted() {
    return [...this.#entries.values()].sort((one, other) => one.first - other.first);
  }

  close() {
    closeSync(this.#file);
  }

  // Where the batches of earlier runs ended, and their limits on bytes.
  get ends() {
    return this.#known.map((entry) => ({ row: entry.rows.at(-1)[0] + 1, maxBytes: entry.maxBytes }));
  }

  get resumed() {
    return this.#known.some((entry) => entry.state === 'accepted');
  }

  get total() {
    return this.#about.total ?? null;
  }

  letters(path) {
    return this.#about.letters?.[path] ?? [];
  }

  // This run

  // Records batches: `rows` are all rows of each, including those that are left out.
  note(...entries) {
    this.#write({ entries: entries.map(({ span, rows, ...rest }) => ({
      ...this.#entries.get(span[0]), first: span[0], rows: rows.map((row) => [row.index, digestOf(row.json), row.key && digestOf(row.key)]), ...rest })) });
  }

  amend(first, changes) {
    if (this.#entries.has(first)) this.#write({ entries: [{ ...this.#entries.get(first), ...changes }] });
  }

  // Replaces parts of a batch with others, in one line.
  replace(old, made) {
    const { maxBytes } = this.#entries.get(old[0]) ?? {};
    const entries = made.map(({ span, rows, state, error, leftOut }) => ({ first: span[0], maxBytes, state, error, leftOut,
      rows: rows.map((row) => [row.index, digestOf(row.json), row.key && digestOf(row.key)]) }));
    this.#write({ gone: old, entries });
  }

  noteTotal(total) {
    if (total) this.#write({ about: { total } });
  }

  // Records the dead letters of this journal that are about to be in the file: [[position, digest]].
  noteLetters(path, rows) {
    this.#write({ about: { letters: { ...this.#about.letters, [path]: rows } } });
  }

  // Records that the source ended after this many batches.
  ended(batches) {
    if (batches < this.#known.length) throw this.#otherInput('it had more rows');
    if (batches) this.#write({ about: { batches } });
  }

  // Records that rows of earlier runs may be gone.
  lost(why) {
    const entries = this.#known.filter((entry) => entry.state === 'accepted').map((entry) => ({ ...entry, lost: why }));
    this.#write({ entries });
  }

  // What earlier runs have left to do for the batch with this number: { rows, leftOut, send, before }. `complete` says that
  // the batch certainly has no more rows.
  plan(number, rows, { complete, resend }) {
    const entry = this.#known[number];
    if (!entry) {
      if (this.#about.batches !== undefined) throw this.#otherInput('it was finished, and there are more rows now');
      return { rows, leftOut: [], send: true, before: null };
    }
    const noted = entry.rows.map(([, digest]) => digest), given = rows.map((row) => digestOf(row.json));
    const whole = noted.join() === given.join();
    if (!whole && (complete || given.some((digest, place) => digest !== noted[place]))) {
      const at = given.findIndex((digest, place) => digest !== noted[place]);
      throw this.#otherInput(at < 0 ? `the row after row ${rows.at(-1).index} is missing` : `row ${rows[at].index} has changed`);
    }
    return entry.state === 'accepted' ? this.#accepted(entry, rows, whole) : this.#rest(entry, rows, whole, resend);
  }

  #accepted(entry, rows, whole) {
    const left = new Map((entry.leftOut ?? []).map((each) => [each.index, each]));
    const rest = rows.filter((row) => !left.has(row.index));
    const before = { outcome: 'accepted', ingestionId: entry.ingestionId, error: entry.error, shares: whole ? entry.shares : null, rejected: entry.rejected ?? [], ask: whole };
    if (entry.lost) Object.assign(before, { error: entry.lost, shares: null, rejected: [], ask: false });
    return { rows: rest, leftOut: rows.filter((row) => left.has(row.index)).map((row) => left.get(row.index)), send: false, before };
  }

  #rest(entry, rows, whole, resend) {
    const outcome = mayBeStored(entry) ? 'ambiguous' : entry.state === 'unsent' ? 'unsent' : 'failed';
    const said = entry.state === 'sending' ? UNANSWERED : entry.error, newer = this.#newer(rows);
    const known = new Map((entry.leftOut ?? []).map((each) => [each.index, each]));
    // An old value never overwrites a newer one that was accepted.
    const leftOut = rows.filter((row) => newer.get(row.index)?.accepted !== undefined)
      .map((row) => ({ ...(known.get(row.index) ?? { index: row.index, outcome, error: said }), by: newer.get(row.index).accepted }));
    const out = new Set(leftOut.map((each) => each.index)), rest = rows.filter((row) => !out.has(row.index));
    if (whole) this.amend(entry.first, { leftOut, state: entry.state === 'sending' && !resend ? 'ambiguous' : entry.state });
    const before = { outcome, error: said };
    if (!rest.length || !whole || (mayBeStored(entry) && !resend)) return { rows: rest, leftOut, send: false, before };
    const possible = rest.map((row) => newer.get(row.index)?.possible).find((by) => by !== undefined);
    if (possible !== undefined && !resend) {
      const held = `Not sent again: row ${possible}, which is newer and has the same key as one of these, was sent, and its answer was lost. With on_ambiguous="resend", both are sent again, in order. Earlier: ${said}`;
      return { rows: rest, leftOut, send: false, before: { outcome, error: held } };
    }
    return { rows: rest, leftOut, send: true, before };
  }

  // Maps the positions of rows to the last later rows with the same key: accepted, and possibly stored.
  #newer(rows) {
    const found = new Map(), keys = new Map(), last = rows.at(-1).index;
    for (const row of rows) if (row.key) keys.set(digestOf(row.key), [...(keys.get(digestOf(row.key)) ?? []), row.index]);
    for (const entry of this.#entries.values()) {
      const left = new Set((entry.leftOut ?? []).map((each) => each.index));
      const none = entry.shares?.rejected === entry.rows.length;
      for (const [index, , key] of entry.rows) {
        const kind = entry.state === 'accepted' && !none && !entry.rejected?.includes(index) ? 'accepted' : mayBeStored(entry) ? 'possible' : null;
        if (!kind || index <= last || left.has(index)) continue;
        for (const mine of keys.get(key) ?? []) found.set(mine, { ...found.get(mine), [kind]: Math.max(index, found.get(mine)?.[kind] ?? -1) });
      }
    }
    return found;
  }

  #otherInput(what) {
    return this.#problem(`belongs to another input: ${what}. Run again with the rows that it was started with.`);
  }

  // No advice may store rows twice.
  #problem(what) {
    const rows = this.#about['primary keys'] ? 0 : this.#sorted().filter((entry) => entry.state === 'accepted').reduce((sum, entry) => sum + entry.rows.length, 0);
    const doubled = rows ? ` It contains ${rows} accepted rows without keys; starting over would store them twice.` : '';
    return configuration(`The journal ${this.path} ${what}${doubled}`);
  }
}
