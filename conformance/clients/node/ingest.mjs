// Sending: one request with its attempts, and whole ingests, batch after batch.

import { DataboxError, OPERATIONS, batches, isSettled, read, report, shareOut, waitBeforeRetry, effectOf } from './client.mjs';

const FATAL = new Set(['AuthenticationError', 'PermissionDeniedError', 'NotFoundError']);
const NOT_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);
const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

export class Client {
  constructor(key, baseUrl, { maxRetries = 4, timeout = 30 } = {}) {
    Object.assign(this, { baseUrl, maxRetries, timeout });
    Object.defineProperty(this, 'key', { value: key }); // so that no log of this object shows it
  }

  async send(name, args) {
    const request = OPERATIONS[name](args);
    let open = false;
    for (let attempt = 0; ; attempt += 1) {
      let failure;
      try {
        return read(name, request, await this.#exchange(request), args);
      } catch (error) {
        failure = this.#hidden(error);
      }
      // Gone after an attempt that may have done it: it did.
      if (open && request.method === 'DELETE' && failure.status_code === 404) return null;
      open ||= effectOf(failure) === 'open';
      // What stands in the API's place would meet the next attempt too; only rows are worth one more.
      const repeatable = request.repeatable && (failure.kind !== 'InvalidResponseError' || name === 'datasets.create_ingestion');
      const wait = waitBeforeRetry(failure, { attempt, max_retries: this.maxRetries, repeatable });
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

  async ingest(datasetId, rows, { primaryKeys = [], batchSize = 100, maxBytes = 1_000_000, verify = 'counts', onAmbiguous = 'auto' } = {}) {
    const repeatable = onAmbiguous === 'resend' || (onAmbiguous === 'auto' && primaryKeys.length > 0);
    const outcomes = [], usable = [];
    rows.forEach((row, index) => {
      const flat = Object.keys(row).length && Object.values(row).every((value) => value === null || typeof value !== 'object');
      if (flat) usable.push([index, JSON.stringify(row)]);
      else outcomes.push({ outcome: 'invalid', rows: 1, first: index });
    });
    for (const batch of batches(usable, batchSize, maxBytes)) {
      if ('invalid' in batch) {
        outcomes.push({ outcome: 'invalid', rows: 1, first: batch.invalid });
        continue;
      }
      const sent = { rows: batch.rows.length, first: batch.first };
      outcomes.push(sent);
      try {
        const records = batch.rows.map((json) => JSON.parse(json));
        const receipt = await this.send('datasets.create_ingestion', { dataset_id: datasetId, records, repeatable });
        Object.assign(sent, { outcome: 'accepted', ingestionId: receipt.ingestion_id, unverified: sent.rows });
      } catch (error) {
        if (!(error instanceof DataboxError)) throw error;
        Object.assign(sent, { outcome: error.open ? 'ambiguous' : 'failed', error });
        if (FATAL.has(error.kind)) break;
      }
    }
    if (verify === 'counts') for (const sent of outcomes) if (sent.ingestionId) await this.#verify(datasetId, sent);
    return { ...report(outcomes, verify), batches: outcomes };
  }

  async #verify(datasetId, sent, timeout = 300) {
    const end = Date.now() + timeout * 1000;
    for (let wait = 0.25; ; wait = Math.min(10, wait * 1.5)) {
      const ingestion = await this.send('datasets.get_ingestion', { dataset_id: datasetId, ingestion_id: sent.ingestionId });
      Object.assign(sent, shareOut(ingestion, sent.rows));
      if (isSettled(ingestion) || Date.now() > end) return;
      await sleep(wait);
    }
  }
}
