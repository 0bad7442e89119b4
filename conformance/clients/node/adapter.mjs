// The client as the runner asks it: a line of JSON in, a line of JSON out.

import readline from 'node:readline';
import { DataboxError, OPERATIONS, RequestLog, batches, effectOf, read, report, shareOut, sharesByStatus, waitBeforeRetry } from './client.mjs';
import { Client } from './ingest.mjs';

const told = (error) => ({ ...error, message: error.message });

function received(given) {
  const request = OPERATIONS[given.operation](given.arguments);
  return read(given.operation, request, given, given.arguments);
}

function failed(how) {
  if (how.connection) return { connection: how.connection };
  if (how.unreadable) return { kind: 'InvalidResponseError' };
  const errors = how.code ? [{ code: how.code, message: 'm' }] : [];
  const headers = how.retry_after === undefined ? {} : { 'retry-after': String(how.retry_after) };
  const response = { status: how.status, headers, body: JSON.stringify({ requestId: 'r', status: 'error', errors }) };
  return caught(() => read('datasets.purge', OPERATIONS['datasets.purge']({ dataset_id: 'd' }), response)).error;
}

// No entry covers rows that it is not about, so a batch that invalid rows part has several.
function stretches({ places, outcome }) {
  const made = [];
  for (const place of places) {
    const last = made.at(-1);
    if (last && last[0] + last[1] === place) last[1] += 1;
    else made.push([place, 1, outcome]);
  }
  return made;
}

function caught(work) {
  try {
    return { result: work() };
  } catch (error) {
    if (!(error instanceof DataboxError)) throw error;
    return { error };
  }
}

const AREAS = {
  requests(given) {
    const { method, path, query, body } = OPERATIONS[given.operation](given.arguments);
    return { method, path, query: Object.fromEntries(Object.entries(query).map(([name, value]) => [name, String(value)])), body };
  },
  answers(given) {
    const { result, error } = caught(() => received(given));
    return error ? { error: told(error) } : { result };
  },
  errors(given) {
    return told(caught(() => received(given)).error);
  },
  retry(given) {
    const failure = failed(given.failure);
    const wait = waitBeforeRetry(failure, given);
    return { effect: effectOf(failure), retry: wait !== null, wait };
  },
  limits(given) {
    const log = new RequestLog(), sent = [];
    for (const { at, pause, leaves } of given.events) {
      if (pause !== undefined) log.pause(at, pause);
      else if (leaves !== undefined) log.correct(sent[leaves], at);
      else sent.push(log.reserve(at, given.per_second, given.per_hour));
    }
    return { sent_at: sent };
  },
  batches(given) {
    const rows = given.rows.flatMap(({ json, times = 1 }) => Array(times).fill(json)).entries();
    const made = [...batches(rows, given.batch_size, given.max_batch_bytes)];
    return {
      batches: made.filter((each) => each.rows).map((each) => [each.first, each.rows.length, each.bytes]),
      invalid: made.filter((each) => 'invalid' in each).map((each) => each.invalid),
    };
  },
  verification(given) {
    const shares = given.mode === 'status' ? sharesByStatus(given.status, given.rows) : shareOut(given.ingestion, given.rows);
    return { settled: !shares.unverified, ...shares };
  },
  report(given) {
    return report(given.batches, given.verify, given.complete);
  },
  async calls(given) {
    const client = new Client('conformance-key-0123456789', given.base_url, { maxRetries: given.max_retries });
    try {
      return { result: await client.send(given.operation, given.arguments) };
    } catch (error) {
      if (!(error instanceof DataboxError)) throw error;
      return { error: told(error) };
    }
  },
  async ingest(given) {
    const { verify, verify_timeout: verifyTimeout, batch_size: batchSize, on_ambiguous: onAmbiguous, journal, dead_letter: deadLetter } = given.options;
    if (journal || deadLetter) return undefined;
    const client = new Client('conformance-key-0123456789', given.base_url);
    const report = await client.ingest('dataset', given.rows, { primaryKeys: given.primary_keys, verify, verifyTimeout, batchSize, onAmbiguous });
    return { report, entries: report.batches.flatMap(stretches).sort(([one], [other]) => one - other) };
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  // Ids beyond what a double holds stay texts, which is what a path needs.
  const question = JSON.parse(line.replace(/: (\d{16,})(?=[,}])/g, ': "$1"'));
  const answer = { id: question.id };
  try {
    const result = await AREAS[question.area]?.(question.input);
    if (result === undefined) answer.unsupported = true;
    else answer.result = result;
  } catch (error) {
    answer.error = String(error.stack);
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
