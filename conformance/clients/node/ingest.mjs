// Sending: one request with its attempts, and whole ingests, batch after batch.

import { DataboxError, OPERATIONS, batches, read, report, shareOut, sharesByStatus, waitBeforeRetry, effectOf } from './client.mjs';

const FATAL = new Set(['AuthenticationError', 'PermissionDeniedError', 'NotFoundError']);
const NOT_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);
const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

export class Client {
  constructor(key, baseUrl, { maxRetries = 4, timeout = 30 } = {}) {
    Object.assign(this, { baseUrl, maxRetries, timeout });
    Object.defineProperty(this, 'key', { value: key }); // so that no log of this object shows it
  }

  async send(name, args, { maxRetries = this.maxRetries, accept = (answer) => answer } = {}) {
    const request = OPERATIONS[name](args);
    let open = false;
    for (let attempt = 0; ; attempt += 1) {
      let failure;
      try {
        return accept(read(name, request, await this.#exchange(request), args));
      } catch (error) {
        failure = this.#hidden(error);
      }
      // Gone after an attempt that may have done it: it did.
      if (open && request.method === 'DELETE' && failure.status_code === 404) return null;
      open ||= effectOf(failure) === 'open';
      // What stands in the API's place would meet the next attempt too; only rows are worth one more.
      const repeatable = request.repeatable && (failure.kind !== 'InvalidResponseError' || name === 'datasets.create_ingestion');
      const wait = waitBeforeRetry(failure, { attempt, max_retries: maxRetries, repeatable });
      if (wait === null) {
        if (open && request.method === 'POST') failure.message += ' It may have taken effect: look before you send it again.';
        throw Object.assign(failure, { open });
      }
      await sleep(wait);
    }
  }

  #hidden(error) {
    error.message = error.message.replaceAll(this.key, '…'); // what a server repeats may hold the key
    return error;
  }

  async #exchange({ method, path, query, body }) {
    const asked = new URLSearchParams(query).toString();
    try {
      const response = await fetch(`${this.baseUrl}${path}${asked ? `?${asked}` : ''}`, {
        method,
        headers: { 'x-api-key': this.key, accept: 'application/json', ...(body === null ? {} : { 'content-type': 'application/json' }) },
        body: body === null ? undefined : JSON.stringify(body),
        redirect: 'manual',
        signal: AbortSignal.timeout(this.timeout * 1000),
      });
      return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
    } catch (error) {
      const connection = NOT_SENT.has(error.cause?.code) ? 'not sent' : 'lost';
      throw new DataboxError('APIConnectionError', `${method} ${path} got no whole answer from ${this.baseUrl}.`, { connection });
    }
  }

  async ingest(datasetId, rows, { primaryKeys = [], batchSize = 100, maxBytes = 1_000_000, verify = 'counts', verifyTimeout = 300, onAmbiguous = 'auto' } = {}) {
    const repeatable = onAmbiguous === 'resend' || (onAmbiguous === 'auto' && primaryKeys.length > 0);
    const outcomes = [], usable = [], ids = new Set();
    const isNew = (receipt) => {
      if (ids.has(receipt.ingestion_id)) throw invalid('POST', `it has the id of an ingestion that was there before, ${receipt.ingestion_id}`);
      ids.add(receipt.ingestion_id);
      return receipt;
    };
    let complete = true;
    rows.forEach((row, index) => {
      const flat = Object.keys(row).length && Object.values(row).every((value) => value === null || typeof value !== 'object');
      const hasKeys = primaryKeys.every((name) => row[name] !== undefined && row[name] !== null);
      if (flat && hasKeys) usable.push([index, JSON.stringify(row)]);
      else outcomes.push({ outcome: 'invalid', rows: 1, places: [index] });
    });
    for (const batch of batches(usable, batchSize, maxBytes)) {
      if ('invalid' in batch) {
        outcomes.push({ outcome: 'invalid', rows: 1, places: [batch.invalid] });
        continue;
      }
      const sent = { rows: batch.rows.length, places: batch.places };
      outcomes.push(sent);
      try {
        const records = batch.rows.map((json) => JSON.parse(json));
        const receipt = await this.send('datasets.create_ingestion', { dataset_id: datasetId, records, repeatable }, { accept: isNew });
        Object.assign(sent, { outcome: 'accepted', ingestionId: receipt.ingestion_id, unverified: sent.rows });
      } catch (error) {
        if (!(error instanceof DataboxError)) throw error;
        Object.assign(sent, { outcome: error.open ? 'ambiguous' : 'failed', error });
        if (FATAL.has(error.kind)) {
          complete = false;
          break;
        }
      }
    }
    const open = outcomes.filter((sent) => sent.ingestionId), end = Date.now() + verifyTimeout * 1000;
    if (verify === 'counts') for (const sent of open) await this.#untilKnown(end, () => this.#count(datasetId, sent));
    if (verify === 'status') await this.#untilKnown(end, () => this.#readList(datasetId, open, end));
    return { ...report(outcomes, verify, complete), batches: outcomes };
  }

  // Asks until the outcome is known or the time is over, once at least. A question that fails is asked again.
  async #untilKnown(end, ask) {
    for (let wait = 0.25; ; wait = Math.min(10, wait * 1.5)) {
      const last = Date.now() >= end;
      try {
        if (await ask()) return;
      } catch (error) {
        if (!(error instanceof DataboxError)) throw error;
      }
      if (last) return;
      await sleep(Math.min(wait, Math.max(0, (end - Date.now()) / 1000)));
    }
  }

  async #count(datasetId, sent) {
    const ask = { dataset_id: datasetId, ingestion_id: sent.ingestionId };
    const accept = (ingestion) => {
      if (ingestion.id.toLowerCase() !== sent.ingestionId.toLowerCase()) throw invalid('GET', `it is about another ingestion, ${ingestion.id}`);
      return ingestion;
    };
    Object.assign(sent, shareOut(await this.send('datasets.get_ingestion', ask, { maxRetries: 0, accept }), sent.rows));
    return !sent.unverified;
  }

  async #readList(datasetId, open, end) {
    const seen = new Set();
    for (let page = 1, more = true; more && (page === 1 || Date.now() < end); page += 1) {
      const list = await this.send('datasets.list_ingestions', { dataset_id: datasetId, page, page_size: 100 }, { maxRetries: 0 });
      for (const { id, status } of list.items) {
        for (const sent of open) if (sent.ingestionId === id && sent.unverified) Object.assign(sent, sharesByStatus(status, sent.rows));
      }
      // A server that does not page sends the same each time.
      more = list.more && open.some((sent) => sent.unverified) && list.items.some(({ id }) => !seen.has(id));
      for (const { id } of list.items) seen.add(id);
    }
    return !open.some((sent) => sent.unverified);
  }
}

const invalid = (method, problem) => new DataboxError('InvalidResponseError', `${method} was answered, but ${problem}.`);
