// From rows to batches to outcomes: reads, sends, verifies, reports.

import { randomBytes } from 'node:crypto';
import { Batcher, UnderWay, bodyOf } from './batches.mjs';
import { InvalidRecord, encode, shown } from './encode.mjs';
import { DataboxError, effectOf, unreadable } from './errors.mjs';
import { Budget, Isolation } from './isolation.mjs';
import { Journal } from './journal.mjs';
import { lettersOf, writeLetters } from './letters.mjs';
import { Patience } from './patience.mjs';
import { NONE, report } from './settle.mjs';
import { Totals } from './totals.mjs';
import { verify } from './verify.mjs';

const FATAL = new Set(['AuthenticationError', 'PermissionDeniedError', 'NotFoundError']);
const FULL = 'dataset_limit_exceeded';
const MOMENT = 0.05;
const now = () => performance.now() / 1000;
const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
const isFatal = ({ error }) => FATAL.has(error?.kind) || (error?.errors ?? []).some((entry) => entry.code === FULL);

const DEFAULTS = {
  primaryKeys: [], batchSize: 100, maxBatchBytes: 1_000_000, concurrency: 4, verify: 'counts', verifyTimeout: 300, patience: 300,
  onRefusal: 'isolate', onAmbiguous: 'auto', journal: null, deadLetter: null,
};

// Returns { report, outcomes }, whatever the outcomes are. If the rows could not be read, or not recorded in the journal,
// throws that error, with the same properties.
export const ingest = (client, datasetId, rows, options = {}) => new Ingest(client, datasetId, { ...DEFAULTS, ...options }).run(rows);

class Ingest {
  #batches = []; // { whole, rows, leftOut, before, isolation, leaves }
  #invalid = [];
  #tasks = new Set();
  #budget = new Budget();
  #claims = new Map(); // ingestion id: { part, before }
  #went = new Map();
  #gone = 0;
  #doubted = new Set();
  #taken = 0;
  #complete = false;
  #stopped = false;
  #problem = null;

  constructor(client, datasetId, options) {
    const { primaryKeys, onAmbiguous, concurrency, patience } = options;
    Object.assign(this, { client, datasetId, options, keyed: primaryKeys.length > 0 });
    this.resend = onAmbiguous === 'resend' || (onAmbiguous === 'auto' && this.keyed);
    this.patience = new Patience(patience, concurrency, this.resend);
    this.underWay = new UnderWay(concurrency);
    const about = { dataset: datasetId, address: client.baseUrl, 'primary keys': primaryKeys.join(', ') };
    this.journal = options.journal ? new Journal(options.journal, about) : null;
    this.totals = new Totals(this.journal?.total ?? null, this.journal?.resumed ?? false);
    this.batcher = new Batcher(options.batchSize, options.maxBatchBytes, this.journal?.ends);
  }

  async run(rows) {
    try {
      await this.#sendAll(rows);
      await Promise.all(this.#tasks);
      if (!this.#problem || this.#problem.kind !== 'ConfigurationError') await this.#verify();
    } catch (error) {
      this.#problem ??= error;
      this.#stop();
      await Promise.allSettled(this.#tasks);
    }
    const result = this.#conclude();
    if (this.#problem) throw Object.assign(this.#problem, result);
    return result;
  }

  // Reading

  async #sendAll(rows) {
    const source = rows[Symbol.asyncIterator]?.() ?? rows[Symbol.iterator]();
    while (!this.#stopped) {
      if (!this.underWay.hasRoom(this.patience.makesRoom)) { // nothing is read until it can be sent
        await this.#change();
        continue;
      }
      let item;
      try {
        item = await source.next();
      } catch (error) {
        this.#problem = new DataboxError('IngestError', `The source of the rows failed: ${error.message}`);
        break;
      }
      if (item.done) {
        this.#complete = true;
        break;
      }
      for (const batch of this.#take(this.#taken, item.value)) await this.#dispatch(batch, true);
    }
    for (const batch of this.batcher.flush()) await this.#dispatch(batch, this.#complete);
    if (this.#complete && !this.#stopped) this.journal?.ended(this.#batches.length);
  }

  #take(index, row) {
    this.#taken += 1;
    let json;
    try {
      const encoded = encode(row, index, this.options.primaryKeys);
      ({ json } = encoded);
      return this.batcher.add({ index, ...encoded });
    } catch (error) {
      if (!(error instanceof InvalidRecord)) throw error;
      try {
        json ??= encode(row, index).json; // it may only lack a key
      } catch {
        // it cannot be encoded
      }
      this.#invalid.push({ index, json, shown: shown(row), error: error.message });
      return error.made ?? [];
    }
  }

  async #change() {
    await Promise.race([sleep(MOMENT), ...this.#tasks]);
  }

  // Sending

  async #dispatch(whole, complete) {
    const number = this.#batches.length, batch = { whole, rows: whole, leftOut: [], before: null, isolation: null, leaves: null };
    this.#batches.push(batch);
    if (this.journal) Object.assign(batch, this.journal.plan(number, whole, { complete, resend: this.resend }));
    if (batch.send === false) {
      if (batch.before?.ingestionId) this.#claim(batch, batch.before.ingestionId, true);
      return;
    }
    const keys = batch.rows.map((row) => row.key).filter((key) => key !== null);
    while (!this.#stopped && !this.underWay.mayGo(keys, this.patience.makesRoom)) await this.#change();
    if (this.#stopped) return; // it is unsent, or keeps its earlier outcome
    const { onRefusal } = this.options, span = [whole[0].index, whole.at(-1).index + 1];
    batch.isolation = new Isolation(batch.rows, {
      span, isolate: onRefusal === 'isolate', resend: this.resend, keyed: this.keyed, budget: this.#budget, lost: batch.before?.outcome === 'ambiguous' });
    this.journal?.note({ span, rows: whole, maxBytes: this.options.maxBatchBytes, leftOut: batch.leftOut, state: batch.before?.outcome === 'ambiguous' ? 'ambiguous' : 'unsent' });
    this.underWay.begin(number, keys);
    const task = this.#deliver(number, batch).catch((error) => this.#fail(error)).finally(() => {
      this.underWay.end(number);
      this.#tasks.delete(task);
    });
    this.#tasks.add(task);
    if (number === 0) await task; // alone, so that a wrong key or dataset fails only one batch
  }

  #fail(error) {
    this.#problem ??= error;
    this.#stop();
  }

  #stop() {
    this.#stopped = true;
    this.patience.stopped = true;
  }

  async #deliver(number, { isolation, whole, leftOut }) {
    for (let part = isolation.next(); part && !this.#stopped; part = isolation.next()) {
      const answer = await this.#delivered(number, part, whole);
      if (!answer) break;
      const outcome = outcomeOf(answer), changes = isolation.answered(part, answer);
      for (const { old, made } of changes) {
        const within = ({ span: [start, end] }) => ({ rows: whole.filter((row) => row.index >= start && row.index < end), leftOut: leftOut.filter((each) => each.index >= start && each.index < end) });
        this.journal?.replace(old.map((each) => each.span[0]), made.map((each) => ({ span: each.span, ...within(each), state: outcome, error: answer.error.message })));
      }
      if (!changes.length) this.#noteEnd(part);
      if (isFatal(answer) || this.patience.over) this.#stop();
    }
    if (this.patience.over) this.#stop();
  }

  #noteEnd(part) {
    for (const [each, answer] of this.#batches.flatMap((batch) => batch.isolation?.ended ?? [])) {
      if (each === part) this.journal?.amend(part.span[0], { state: outcomeOf(answer), ingestionId: answer.ingestionId, error: answer.error?.message ?? null });
    }
  }

  // Sends a part as often as necessary. Returns null if the run stops before it is sent.
  async #delivered(number, part) {
    for (;;) {
      const wait = this.patience.turn(number, now());
      if (wait === null) return null;
      if (wait) {
        await sleep(wait);
        continue;
      }
      const { maxRetries } = this.client;
      const answer = await this.#attempted(part, this.patience.asks(number) ? 0 : this.patience.isSuspect(number) ? Math.max(maxRetries, 1) : maxRetries);
      if (!answer.error) {
        this.patience.passed(number, part.attempts, now());
        return answer;
      }
      if (!this.patience.keeps(number, answer.error, part.attempts, now())) {
        if (this.patience.over) answer.error.message += ` ${this.patience.over} Run again with the journal to resume.`;
        return answer;
      }
      part.error = answer.error;
      this.journal?.amend(part.span[0], { state: outcomeOf(answer), error: answer.error.message });
    }
  }

  async #attempted(part, maxRetries) {
    this.journal?.amend(part.span[0], { state: 'sending' });
    if (!this.#went.has(part)) this.#went.set(part, this.#gone++);
    const args = { dataset_id: this.datasetId, body: bodyOf(part.rows), repeatable: this.resend };
    const accept = (receipt) => {
      if (this.#claim(part, receipt.ingestion_id)) return receipt;
      throw unreadable({ method: 'POST', path: `/v1/datasets/${this.datasetId}/data` }, 200, `it has the id of an ingestion that another batch already has, ${receipt.ingestion_id}`);
    };
    try {
      const receipt = await this.client.send('datasets.create_ingestion', args, { maxRetries, accept, attempts: part.attempts });
      return { ingestionId: receipt.ingestion_id };
    } catch (error) {
      if (!(error instanceof DataboxError)) throw error;
      return { error, open: part.attempts.open ?? false };
    }
  }

  // Whether a part may have an ingestion id, because no other part has it. If two parts that were in flight together get
  // the same id, it is unknown whose it is.
  #claim(part, id, earlier = false) {
    if (!this.#claims.has(id)) this.#claims.set(id, { part, before: earlier ? 0 : this.#gone });
    const claim = this.#claims.get(id);
    if (claim.part !== part && (this.#went.get(part) ?? 0) < claim.before) this.#doubted.add(claim.part);
    return claim.part === part;
  }

  // Outcomes

  // Batches, or the parts they were sent in: { rows, span, outcome, ingestionId, error, shares, rejected, ask, isNew }.
  #leaves() {
    return this.#batches.flatMap((batch) => (batch.leaves ??= this.#leavesOf(batch)));
  }

  #leavesOf({ isolation, whole, rows, before }) {
    const leaf = (of, span, more) => ({ rows: of, span, ingestionId: null, error: null, rejected: [], ask: true, isNew: true, ...more,
      shares: more.shares ?? (more.outcome === 'accepted' ? { ...NONE, unverified: of.length } : NONE) });
    if (isolation && (isolation.ended.length || isolation.whole.error || isolation.pending.length > 1)) {
      return isolation.rest().map(([part, answer]) => {
        const doubted = this.#doubted.has(part) && answer.ingestionId;
        const outcome = doubted ? 'ambiguous' : outcomeOf(answer);
        const error = doubted ? `The answer has the id of an ingestion that another batch got as well: ${answer.ingestionId}.` : answer.error?.message ?? null;
        this.journal?.amend(part.span[0], { state: outcome, error, ingestionId: doubted ? null : answer.ingestionId });
        return leaf(part.rows, part.span, { outcome, ingestionId: doubted ? null : answer.ingestionId, error });
      });
    }
    if (!rows.length) return [];
    const span = [whole[0].index, whole.at(-1).index + 1], shares = before?.shares && { ...before.shares };
    if (shares && this.options.verify === 'counts') Object.assign(shares, { uncounted: 0, unverified: shares.unverified + shares.uncounted });
    return [leaf(rows, span, before ? { isNew: false, ...before, shares } : { outcome: 'unsent' })];
  }

  async #verify() {
    const { verify: mode, verifyTimeout } = this.options;
    if (!mode) return;
    const leaves = this.#leaves();
    await verify(this.client, this.datasetId, leaves, mode, verifyTimeout, (leaf, answer) => {
      if (answer) this.#hearTotal(leaf, answer);
      if (!leaf.shares.unverified) {
        this.journal?.amend(leaf.span[0], { shares: leaf.shares, rejected: leaf.rejected, error: leaf.error });
        this.journal?.noteTotal(this.totals.least);
      }
    });
    await this.#lookForWhatWasThere(leaves);
  }

  #hearTotal(leaf, answer) {
    const rows = answer.dataset_metrics?.total_records_count ?? null;
    if (rows !== null) this.totals.told(Number(rows), answer.id, leaf?.isNew ?? false, leaf && !leaf.shares.unverified ? leaf.shares.appended : 0);
  }

  async #lookForWhatWasThere(leaves) {
    const settled = !leaves.some((leaf) => leaf.outcome === 'accepted' && leaf.shares.unverified && leaf.ask);
    for (let id = this.totals.question(settled); id; id = this.totals.question(settled)) {
      try {
        this.#hearTotal(null, await this.client.send('datasets.get_ingestion', { dataset_id: this.datasetId, ingestion_id: id }));
      } catch (error) {
        if (!(error instanceof DataboxError)) throw error;
      }
    }
    const why = this.totals.loss(settled);
    if (!why || !this.journal) return;
    for (const leaf of leaves.filter((each) => !each.isNew && each.outcome === 'accepted')) {
      Object.assign(leaf, { shares: { ...NONE, unverified: leaf.rows.length }, error: why, rejected: [] });
    }
    this.journal.lost(why);
  }

  // Accounts for every row, in the report and in the dead letters.
  #conclude() {
    for (const rows of this.batcher.flush()) this.#batches.push({ whole: rows, rows, leftOut: [], before: null, isolation: null, leaves: null });
    const leaves = this.#leaves(), rowOf = new Map(this.#batches.flatMap((batch) => batch.whole.map((row) => [row.index, row])));
    const leftOut = this.#batches.flatMap((batch) => batch.leftOut).map((each) => ({ ...each, row: rowOf.get(each.index) }));
    const outcomes = [
      ...leaves.map((leaf) => ({ ...leaf.shares, outcome: leaf.outcome, error: leaf.error, rows: leaf.rows.length, places: leaf.rows.map((row) => row.index) })),
      ...leftOut.map(({ index, outcome, error }) => ({ outcome, rows: 1, places: [index], error: `Not sent again, because newer rows with the same keys were accepted. ${error ?? ''}` })),
      ...this.#invalid.map(({ index, error }) => ({ outcome: 'invalid', rows: 1, places: [index], error })),
    ].sort((one, other) => one.places[0] - other.places[0]);
    const { deadLetter, verify: mode } = this.options;
    if (deadLetter && !(this.#problem?.kind === 'ConfigurationError' && !this.#went.size)) {
      const letters = lettersOf({ leaves, leftOut, invalid: this.#invalid, keyed: this.keyed, rows: this.#taken });
      writeLetters(deadLetter, letters, this.journal?.id ?? randomBytes(8).toString('hex'), this.journal, this.#complete ? Infinity : this.#taken);
    }
    this.journal?.close();
    return { report: report(outcomes, mode, this.#complete), outcomes };
  }
}

// Without an id and an error, nothing was sent.
function outcomeOf({ ingestionId, error, open }) {
  if (ingestionId) return 'accepted';
  if (open) return 'ambiguous';
  return error ? (effectOf(error) === 'open' ? 'ambiguous' : 'failed') : 'unsent';
}
