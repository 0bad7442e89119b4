// The adapter for the runner: reads a line of JSON for each case, and writes one.

import readline from 'node:readline';
import { Batcher, UnderWay, bodyOf } from './batches.mjs';
import { Client } from './client.mjs';
import { Decimal, InvalidRecord, Moment, PlainDate, encode, keyOf } from './encode.mjs';
import { DataboxError, effectOf, waitBeforeRetry } from './errors.mjs';
import { ingest } from './ingest.mjs';
import { parse, stringify } from './json.mjs';
import { RequestLog } from './limit.mjs';
import { OPERATIONS, isAbout, read } from './operations.mjs';
import { Patience } from './patience.mjs';
import { report, shareOut, sharesByStatus } from './settle.mjs';

const KEY = 'conformance-key-0123456789';
const told = (error) => ({ ...error, report: undefined, outcomes: undefined, message: error.message });

// JavaScript has no type for a duration; libraries have, and identify it by this name.
class Duration {
  get [Symbol.toStringTag]() { return 'Duration'; }
}

const VALUES = {
  $int: (digits) => BigInt(digits), $decimal: (digits) => new Decimal(digits), $date: (text) => new PlainDate(text), $datetime: (text) => new Moment(text),
  $float: (text) => ({ nan: NaN, inf: Infinity, '-inf': -Infinity }[text] ?? Number(text)), $object: (value) => value, $list: (value) => value,
  $bytes: (base64) => Buffer.from(base64, 'base64'), $seconds: () => new Duration(), $surrogate: (code) => String.fromCharCode(parseInt(code, 16)),
};
const valueOf = (value) => {
  const [tag] = value !== null && typeof value === 'object' && !Array.isArray(value) ? Object.keys(value) : [];
  return tag in VALUES ? VALUES[tag](value[tag]) : value;
};
const rowOf = (row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, valueOf(value)]));

function received(given) {
  const answer = read(given.operation, OPERATIONS[given.operation](given.arguments), given, given.arguments, KEY);
  return given.operation === 'datasets.get_ingestion' ? isAbout(given.arguments.ingestion_id)(answer) : answer;
}

function failed(how) {
  if (how.connection) return { connection: how.connection };
  if (how.unreadable) return { kind: 'InvalidResponseError' };
  const errors = how.code ? [{ code: how.code, message: 'm' }] : [];
  const headers = how.retry_after === undefined ? {} : { 'retry-after': String(how.retry_after) };
  const response = { status: how.status, headers, body: JSON.stringify({ requestId: 'r', status: 'error', errors }) };
  return caught(() => read('datasets.purge', OPERATIONS['datasets.purge']({ dataset_id: 'd' }), response)).error;
}

// An entry covers only the rows it is about, so a batch with invalid rows in the middle has several.
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

function batched(batcher, rows) {
  const made = [], invalid = [];
  for (const [index, json] of rows.entries()) {
    try {
      made.push(...batcher.add({ index, json, key: null }));
    } catch (error) {
      if (!(error instanceof InvalidRecord)) throw error;
      made.push(...error.made);
      invalid.push(error.index);
    }
  }
  return { made: [...made, ...batcher.flush()], invalid };
}

const DECISIONS = {
  requests(given) {
    const { method, path, query, body } = OPERATIONS[given.operation](given.arguments);
    return { method, path, query: Object.fromEntries(Object.entries(query).map(([name, value]) => [name, String(value)])), body };
  },
  answers(given) {
    const { result, error } = caught(() => received(given));
    return error ? { error: told(error) } : { result };
  },
  errors(given) {
    const { error } = caught(() => received(given));
    return error ? told(error) : { kind: null };
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
    const rows = given.rows.flatMap(({ json, times = 1 }) => Array(times).fill(json));
    const { made, invalid } = batched(new Batcher(given.batch_size, given.max_batch_bytes), rows);
    return { batches: made.map((each) => [each[0].index, each.length, Buffer.byteLength(bodyOf(each))]), invalid };
  },
  encoding(given) {
    try {
      return { json: encode(Object.fromEntries(given.columns.map(([name, value]) => [name, valueOf(value)])), 0).json };
    } catch (error) {
      if (!(error instanceof InvalidRecord)) throw error;
      return { error: { column: error.column, message: error.message } };
    }
  },
  keys(given) {
    return { same: keyOf(valueOf(given.first)) === keyOf(valueOf(given.second)) };
  },
  order(given) {
    const underWay = new UnderWay(given.concurrency), started = [], waiting = given.batches.map((keys, number) => ({ keys, number }));
    for (const answered of [null, ...given.answers]) {
      if (answered !== null) underWay.end(answered);
      const now = [];
      while (waiting.length && underWay.mayGo(waiting[0].keys)) {
        const { keys, number } = waiting.shift();
        underWay.begin(number, keys);
        now.push(number);
      }
      started.push(now);
    }
    return { started };
  },
  patience(given) {
    const decides = new Patience(given.patience, given.concurrency, given.resend), attempts = {}, turns = [], kept = [];
    for (const { at, batch, asks, passes, fails } of given.events) {
      const mine = attempts[batch] ??= {};
      if (asks) {
        const turn = decides.turn(batch, at);
        turns.push(turn === null ? 'stop' : turn ? 'wait' : 'go');
        if (turn === 0) mine.startedAt = at;
      } else if (passes) {
        decides.passed(batch, mine, at);
      } else {
        const failure = failed(fails);
        mine.open ||= effectOf(failure) === 'open';
        mine.failedAt ??= at;
        kept.push(decides.keeps(batch, failure, mine, at));
      }
    }
    return { turns, kept };
  },
  verification(given) {
    const shares = given.mode === 'status' ? sharesByStatus(given.status, given.rows) : shareOut(given.ingestion, given.rows);
    return { settled: !shares.unverified, ...shares };
  },
  report(given) {
    return report(given.batches, given.verify, given.complete);
  },
  async calls(given) {
    const client = new Client(KEY, given.base_url, { maxRetries: given.max_retries, timeout: given.timeout, rateLimit: false });
    try {
      return { result: await client.send(given.operation, given.arguments) };
    } catch (error) {
      if (error instanceof TypeError && /is not an id/.test(error.message)) return { error: { kind: 'refused', message: error.message } };
      if (!(error instanceof DataboxError)) throw error;
      return { error: told(error) };
    }
  },
};

async function ingested(given) {
  const { max_retries: maxRetries, timeout, rate_limit: rateLimit = false, ...rest } = given.options;
  const client = new Client(KEY, given.base_url, { maxRetries, timeout, rateLimit });
  const named = Object.entries({ concurrency: 1, ...rest }).map(([name, value]) => [name.replace(/_(.)/g, (found, letter) => letter.toUpperCase()), value]);
  try {
    return shownRun(await ingest(client, 'dataset', source(given), { ...Object.fromEntries(named), primaryKeys: given.primary_keys }));
  } catch (error) {
    if (!(error instanceof DataboxError)) throw error;
    return { ...(error.report ? shownRun(error) : {}), error: told(error) };
  }
}

function* source({ rows, source_fails_after: fails }) {
  for (const [place, row] of rows.entries()) {
    if (place === fails) throw new Error('the source failed');
    yield rowOf(row);
  }
  if (fails === rows.length) throw new Error('the source failed');
}

function shownRun({ report: made, outcomes }) {
  return { report: made, entries: outcomes.flatMap(stretches).sort(([one], [other]) => one - other), errors: outcomes.map((each) => each.error).filter(Boolean) };
}

const AREAS = { ...DECISIONS, ...Object.fromEntries(['ingest', 'recovery', 'wire', 'pace', 'files'].map((area) => [area, ingested])) };

for await (const line of readline.createInterface({ input: process.stdin })) {
  const question = parse(line);
  const answer = { id: question.id };
  try {
    const result = await AREAS[question.area]?.(question.input);
    if (result === undefined) answer.unsupported = true;
    else answer.result = result;
  } catch (error) {
    answer.error = String(error.stack);
  }
  process.stdout.write(`${stringify(answer)}\n`);
}
