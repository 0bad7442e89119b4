// Sends a request, in as many attempts as necessary. Each attempt has its own connection, so that an answer never contains
// bytes of another one.

import http from 'node:http';
import https from 'node:https';
import { DataboxError, askedToWait, effectOf, hidden, waitBeforeRetry } from './errors.mjs';
import { stringify } from './json.mjs';
import { limiterOf } from './limit.mjs';
import { OPERATIONS, checkIds, isAbout, read } from './operations.mjs';

const CERTIFICATE = /CERT|SIGNATURE|ERR_TLS|SELF_SIGNED/;
const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

export class Client {
  // `baseUrl` has no trailing slash; `timeout` limits an attempt as a whole, in seconds; `rateLimit: false` means no limit.
  constructor(key, baseUrl, { maxRetries = 4, timeout = 30, rateLimit = true } = {}) {
    Object.assign(this, { baseUrl, maxRetries, timeout });
    Object.defineProperty(this, 'key', { value: key }); // not enumerable, so that logging this object does not show it
    Object.defineProperty(this, 'limiter', { value: rateLimit ? limiterOf(key, baseUrl) : null });
  }

  // Returns the operation's result, after as many attempts as necessary. `accept` may reject it. `attempts` records
  // whether an attempt may have taken effect, when the first one failed, and when the last one started.
  async send(name, args, { maxRetries = this.maxRetries, accept = name === 'datasets.get_ingestion' ? isAbout(args.ingestion_id) : (answer) => answer, attempts = {} } = {}) {
    checkIds(args);
    const request = OPERATIONS[name](args);
    for (let attempt = 0; ; attempt += 1) {
      const at = await this.limiter?.turn();
      attempts.startedAt = performance.now() / 1000;
      let failure;
      try {
        const response = await this.#exchange(request, () => at && this.limiter.left(at));
        return accept(read(name, request, response, args, this.key));
      } catch (error) {
        if (!(error instanceof DataboxError)) throw error;
        failure = error;
      }
      attempts.failedAt ??= performance.now() / 1000;
      attempts.open ||= effectOf(failure) === 'open';
      // A 404 after an attempt that may have taken effect: that attempt deleted the object.
      if (attempts.open && request.method === 'DELETE' && failure.kind === 'NotFoundError') return null;
      // Whatever answers in the API's place would answer the next attempt as well; only rows are worth another one.
      const repeatable = request.repeatable && (failure.kind !== 'InvalidResponseError' || name === 'datasets.create_ingestion');
      const wait = waitBeforeRetry(failure, { attempt, max_retries: maxRetries, repeatable });
      const pause = askedToWait(failure) ?? (failure.kind === 'RateLimitError' ? wait : null);
      if (pause) this.limiter?.pause(pause);
      if (wait === null) throw failure;
      await sleep(wait);
    }
  }

  // Resolves to { status, headers, body }; rejects if the answer did not arrive completely.
  #exchange({ method, path, query, body }, left) {
    const asked = new URLSearchParams(query).toString(), url = new URL(`${this.baseUrl}${path}${asked ? `?${asked}` : ''}`);
    const payload = body === null ? null : Buffer.from(typeof body === 'string' ? body : stringify(body));
    const headers = { 'x-api-key': this.key, accept: 'application/json', ...(payload ? { 'content-type': 'application/json', 'content-length': payload.length } : {}) };
    return new Promise((resolve, reject) => {
      let sent = false, answer = null;
      const chunks = [];
      const request = (url.protocol === 'https:' ? https : http).request(url, { method, headers, agent: false });
      const end = (problem) => {
        clearTimeout(timer);
        request.destroy();
        const response = answer && { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks).toString('utf8') };
        if (response && (!problem || response.status < 200 || response.status >= 300)) resolve(response); // the status is a refusal, even if the body is incomplete
        else reject(this.#lost(`${method} ${path}`, problem, sent));
      };
      const timer = setTimeout(() => end({ timeout: true }), this.timeout * 1000);
      request.on('socket', (socket) => socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => { sent = true; left(); }));
      const failed = (problem) => answer?.complete || end(problem); // bytes after a complete answer belong to no request
      request.on('error', failed);
      request.on('response', (response) => {
        answer = response;
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', failed);
        response.on('end', () => end(response.complete ? null : { code: 'the answer was truncated' }));
      });
      request.end(payload);
    });
  }

  #lost(what, problem, sent) {
    const effect = sent ? 'It may have taken effect.' : 'Nothing was sent.';
    const connection = sent ? 'lost' : CERTIFICATE.test(problem.code) ? 'certificate' : 'not sent';
    const message = problem.timeout
      ? `${what} timed out after ${this.timeout} seconds. ${effect}`
      : `${what} ${sent ? 'received no complete answer from' : 'could not connect to'} ${this.baseUrl}: ${problem.code ?? problem.message}. ${effect}`;
    return new DataboxError(problem.timeout ? 'APITimeoutError' : 'APIConnectionError', hidden(message, this.key), { connection });
  }
}
