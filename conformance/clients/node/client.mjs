// A small client of the Databox API v1 for Node 20: its own fetch, no dependencies. It was written from GUIDE.md and
// passes the cases for requests, answers, errors, retry, calls, limits, batches, verification, the report and whole ingests.
// Journal, dead letters and concurrency are left out.

const FIRST_WAIT = 0.5, LONGEST_WAIT = 30, LONGEST_RETRY_AFTER = 120, SECOND = 1.014, HOUR = 3601;

// Requests: how each operation is asked.

const segment = (id) => encodeURIComponent(String(id)).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
const given = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));
const get = (path, query = {}) => ({ method: 'GET', path, query: given(query), body: null, repeatable: true });
const post = (path, body, repeatable = false) => ({ method: 'POST', path, query: {}, body, repeatable });
const remove = (path) => ({ method: 'DELETE', path, query: {}, body: null, repeatable: true });

export const OPERATIONS = {
  'accounts.list': () => get('/v1/accounts'),
  'accounts.list_data_sources': (a) => get(`/v1/accounts/${segment(a.account_id)}/data-sources`),
  'accounts.list_timezones': () => get('/v1/accounts/timezones'),
  'auth.validate_key': () => get('/v1/auth/validate-key'),
  'data_sources.create': (a) => post('/v1/data-sources', given({ title: a.title, accountId: a.account_id, timezone: a.timezone })),
  'data_sources.delete': (a) => remove(`/v1/data-sources/${segment(a.data_source_id)}`),
  'data_sources.list_datasets': (a) => get(`/v1/data-sources/${segment(a.data_source_id)}/datasets`),
  'datasets.create': (a) => post('/v1/datasets', given({
    title: a.title, dataSourceId: a.data_source_id, primaryKeys: a.primary_keys?.length ? a.primary_keys : null,
  })),
  'datasets.delete': (a) => remove(`/v1/datasets/${segment(a.dataset_id)}`),
  'datasets.purge': (a) => post(`/v1/datasets/${segment(a.dataset_id)}/purge`, null, true),
  'datasets.create_ingestion': (a) => post(`/v1/datasets/${segment(a.dataset_id)}/data`, { records: a.records }, a.repeatable),
  'datasets.list_ingestions': (a) => get(`/v1/datasets/${segment(a.dataset_id)}/ingestions`, { page: a.page, pageSize: a.page_size }),
  'datasets.get_ingestion': (a) => get(`/v1/datasets/${segment(a.dataset_id)}/ingestions/${segment(a.ingestion_id)}`),
};

// Answers: which fields make each model. What cannot be read as expected is null, and stays in `extra` as it came.

const text = (value) => (typeof value === 'string' ? value : Number.isInteger(value) ? String(value) : null);
const integer = (value) => (Number.isInteger(value) ? value : typeof value === 'string' && /^-?\d{1,19}$/.test(value) ? Number(value) : null);
const number = (value) => (typeof value === 'number' ? value : null);
const truth = (value) => (typeof value === 'boolean' ? value : null);
const object = (value) => (value !== null && typeof value === 'object' && !Array.isArray(value) ? value : {});
const instant = (value) => {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\d/.test(value)) return null;
  const moment = new Date(/(Z|[+-]\d\d:?\d\d)$/.test(value) ? value : `${value}Z`);
  return Number.isNaN(moment.getTime()) ? null : moment.toISOString().replace('.000Z', '+00:00').replace('Z', '+00:00');
};
export const details = (value) => {
  if (value === null || value === undefined) return [];
  const byField = object(value);
  if (Object.keys(byField).length && !('code' in byField) && !('message' in byField)) {
    return Object.entries(byField).flatMap(([field, messages]) => [messages].flat().map((message) => ({ message: String(message), field })));
  }
  return [value].flat().filter((entry) => entry !== null).map((entry) => (typeof entry === 'object'
    ? { code: text(entry.code), message: text(entry.message), field: text(entry.field), type: text(entry.type) }
    : { message: String(entry) }));
};
const metrics = (value) => (value && typeof value === 'object'
  ? { columns_count: integer(value.columnsCount), size_mb: number(value.datasetSizeMB), total_records_count: integer(value.totalDatasetRecordsCount) }
  : null);

const ID = ['id', 'id', integer, true], TITLE = ['title', 'title', text], CREATED = ['created', 'created', instant];
const INGESTION = [['id', 'ingestionId', text, true], ['timestamp', 'timestamp', instant], ['status', 'status', text]];
const COUNTS = 'metrics.ingestionMetrics';
const SHAPES = {
  account: [ID, ['name', 'name', text], ['account_type', 'accountType', text]],
  dataSource: [ID, TITLE, CREATED, ['timezone', 'timezone', text], ['key', 'key', text], ['ingestion_supported', 'ingestionSupported', truth]],
  timezone: [['name', 'timezone', text, true], ['offset', 'offset', text]],
  dataset: [['id', 'id', text, true], TITLE, CREATED],
  receipt: [['ingestion_id', 'ingestionId', text, true], ['message', 'message', text]],
  summary: INGESTION,
  ingestion: [...INGESTION, ['received', `${COUNTS}.receivedRecordsCount`, integer], ['appended', `${COUNTS}.appendedRecordsCount`, integer],
    ['overwritten', `${COUNTS}.overwrittenRecordsCount`, integer], ['rejected', `${COUNTS}.rejectedRecordsCount`, integer],
    ['dataset_metrics', 'metrics.datasetMetrics', metrics], ['errors', 'errors', details]],
};
const LISTS = {
  'accounts.list': ['accounts', 'account'], 'accounts.list_data_sources': ['dataSources', 'dataSource'],
  'accounts.list_timezones': ['timezones', 'timezone'], 'data_sources.list_datasets': ['datasets', 'dataset'],
  'datasets.list_ingestions': ['ingestions', 'summary'],
};
const OBJECTS = {
  'data_sources.create': 'dataSource', 'datasets.create': 'dataset', 'datasets.create_ingestion': 'receipt', 'datasets.get_ingestion': 'ingestion',
};

export class DataboxError extends Error {
  constructor(kind, message, fields = {}) {
    super(message);
    Object.assign(this, { kind, ...fields });
  }
}

function model(shape, document, where) {
  const found = {}, extra = { ...document };
  for (const [name, path, read, required] of SHAPES[shape]) {
    const raw = path.split('.').reduce((value, part) => object(value)[part], document);
    found[name] = read(raw);
    if (required && (found[name] === null || found[name] === '')) throw new DataboxError('Unusable', `${where} has no usable '${path}'`);
    if (raw === undefined || raw === null || found[name] !== null) delete extra[path.split('.')[0]];
  }
  return { ...found, extra };
}

export function read(name, request, response, args = {}) {
  const succeeded = response.status >= 200 && response.status < 300;
  if (response.status === 204 && (request.method === 'DELETE' || name === 'datasets.purge')) return null;
  let document, isJson = true;
  try {
    document = JSON.parse(response.body.replace(/^\ufeff/, ''));
  } catch {
    isJson = false;
  }
  const what = `${request.method} ${request.path}`;
  const invalid = (problem) => new DataboxError('InvalidResponseError',
    `${what} was answered with status ${response.status}, but ${problem}. Check the address, and whether a proxy answers in the API's place.`,
    { status_code: response.status, request_id: requestId(object(document), response) });
  if (succeeded && !isJson) throw invalid(`the body is not JSON: ${excerpt(response.body)}`);
  const answer = object(document);
  const outcome = name === 'datasets.get_ingestion' && answer.ingestionId;
  const refuses = !outcome && (typeof answer.status === 'string' ? answer.status.toLowerCase() === 'error' : details(answer.errors).length > 0);
  if (!succeeded || refuses) throw refusal(what, response, answer);
  try {
    if (document === null || typeof document !== 'object' || Array.isArray(document)) throw new DataboxError('Unusable', 'the answer is not a JSON object');
    if (LISTS[name]) return listing(...LISTS[name], answer, args);
    if (OBJECTS[name]) return { ...object1(OBJECTS[name], answer), ...known(name, args) };
    if (request.method === 'DELETE' && 'id' in answer) return null; // what was deleted
    if (!('requestId' in answer) && !('status' in answer)) throw new DataboxError('Unusable', "the answer has neither 'requestId' nor 'status'");
    return null;
  } catch (error) {
    throw error.kind === 'Unusable' ? invalid(error.message) : error;
  }
}

const object1 = (shape, { requestId: id, ...rest }) => {
  const { status, ...others } = rest;
  const found = model(shape, shape === 'ingestion' ? rest : others, 'the answer');
  return { ...found, request_id: text(id) };
};
const known = (name, args) => (name === 'datasets.create' ? { data_source_id: args.data_source_id, primary_keys: args.primary_keys ?? [] } : {});

function listing(field, shape, answer, args) {
  if (!Array.isArray(answer[field])) throw new DataboxError('Unusable', `'${field}' is missing where a list belongs`);
  const items = answer[field].map((item, place) => model(shape, object(item), `${field}[${place}]`));
  const pages = object(answer.pagination), total = integer(pages.totalItems);
  const asked = integer(pages.pageSize) ?? args.page_size ?? 100;
  const seen = args.page ? (args.page - 1) * asked + items.length : items.length;
  const more = items.length > 0 && (total !== null ? seen < total : items.length >= asked);
  return { items, total, more, request_id: text(answer.requestId) };
}

// Errors.

const KINDS = {
  400: 'BadRequestError', 401: 'AuthenticationError', 403: 'PermissionDeniedError', 404: 'NotFoundError', 409: 'ConflictError',
  413: 'RequestTooLargeError', 429: 'RateLimitError',
};
const STATUS_OF = {
  invalid_json: 400, invalid_input: 400, invalid_field_value: 400, missing_required_field: 400, schema_mismatch: 400, too_many_errors: 400,
  dataset_limit_exceeded: 400, invalid_api_key: 401, forbidden: 403, not_found: 404, duplicate_record: 409, request_too_large: 413,
  rate_limited: 429, internal_error: 500, service_unavailable: 503,
};
const ADVICE = {
  BadRequestError: 'Mend the request.', AuthenticationError: 'Check the key.', PermissionDeniedError: 'The user may not do this.',
  NotFoundError: 'Check the id.', ConflictError: 'It must be unique.', RequestTooLargeError: 'Send less at once.',
  RateLimitError: 'Wait, or let fewer share the key.', ServerError: 'Try again later, and quote the request id.',
};
const kindOf = (status) => (status >= 500 ? 'ServerError' : KINDS[status] ?? 'APIStatusError');
const requestId = (answer, response) => text(answer.requestId) ?? response.headers['x-request-id'] ?? null;
// What is not closed is read to its end, so that the search does not start again at every "<".
const MARKUP = /<(script|style)[\s\S]*?(<\/\1>|$)|<[^<>]*>/gi;
const excerpt = (body) => body.slice(0, 20_000).replace(MARKUP, ' ').replace(/\s+/g, ' ').trim().slice(0, 300);

function refusal(what, response, answer) {
  const errors = details(answer.errors), { status } = response;
  const kind = kindOf(status >= 200 && status < 300 ? STATUS_OF[errors[0]?.code] ?? 0 : status);
  const id = requestId(answer, response);
  const words = errors.slice(0, 3).map((e) => [e.code, e.message].filter(Boolean).join(': ') + (e.field ? ` [field ${e.field}]` : ''));
  const said = words.join('; ') || text(answer.message ?? answer.detail ?? answer.title) || excerpt(response.body);
  const advice = status >= 300 && status < 400 ? 'Redirects are not followed.' : ADVICE[kind] ?? '';
  const message = `${what} failed with status ${status}${said ? `: ${said}` : ''}${id ? ` (request id ${id})` : ''}. ${advice}`;
  return new DataboxError(kind, message, {
    status_code: status, code: errors[0]?.code ?? null, field: errors[0]?.field ?? null, request_id: id, retry_after: retryAfter(response.headers),
  });
}

export function retryAfter(headers) {
  const value = (headers['retry-after'] ?? '').trim();
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value);
  const moment = /^[A-Z][a-z]{2}, /.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(moment) ? null : Math.max(0, (moment - Date.now()) / 1000);
}

// Retry: whether the failed request can have taken effect decides.

export function effectOf(failure) {
  if (failure.connection) return { 'not sent': 'none', lost: 'open', certificate: 'refused' }[failure.connection];
  if (failure.kind === 'InvalidResponseError') return 'open';
  const { status_code: status, code } = failure;
  if ([408, 429, 503].includes(status)) return 'none';
  if (status < 300 && ['rate_limited', 'service_unavailable'].includes(code)) return 'none';
  return status >= 500 || (status < 300 && code === 'internal_error') ? 'open' : 'refused';
}

export function waitBeforeRetry(failure, { attempt, max_retries: most, repeatable, random = Math.random() }) {
  const effect = effectOf(failure);
  if (attempt >= most || effect === 'refused' || (effect === 'open' && !repeatable)) return null;
  if (typeof failure.retry_after === 'number') return Math.min(failure.retry_after, LONGEST_RETRY_AFTER);
  return random * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** attempt);
}

// The limit of a key.

export class RequestLog {
  times = [];
  pausedUntil = 0;

  reserve(now, perSecond, perHour) {
    const latest = (count) => this.times.at(-count);
    const at = Math.max(now, this.pausedUntil, latest(1) ?? now, (latest(perSecond) ?? -Infinity) + SECOND, (latest(perHour) ?? -Infinity) + HOUR);
    this.times.push(at);
    return at;
  }

  correct(at, left) {
    this.times.splice(this.times.indexOf(at), 1, left);
    this.times.sort((one, other) => one - other);
  }

  pause(now, seconds) {
    this.pausedUntil = Math.max(this.pausedUntil, now + seconds);
    this.times = this.times.filter((time) => time <= now);
  }
}

// Batches, verification and the report.

export function* batches(rows, size, most) {
  let batch = [], bytes = 13;
  const whole = () => ({ first: batch[0].index, places: batch.map((each) => each.index), rows: batch.map((each) => each.json), bytes });
  for (const [index, json] of rows) {
    const more = Buffer.byteLength(json) + 1;
    if (13 + more > most) {
      yield { invalid: index };
      continue;
    }
    if (bytes + more > most) {
      yield whole();
      batch = [];
      bytes = 13;
    }
    batch.push({ index, json });
    bytes += more;
    if (batch.length >= size) {
      yield whole();
      batch = [];
      bytes = 13;
    }
  }
  if (batch.length) yield whole();
}

const FAILED = new Set(['failed', 'failure', 'error', 'errored', 'rejected', 'cancelled', 'canceled', 'aborted']);
const DONE = new Set(['success', 'succeeded', 'completed', 'complete', 'processed', 'finished', 'done']);
const word = (status) => (status ?? '').trim().toLowerCase();
const NONE = { appended: 0, overwritten: 0, rejected: 0, uncounted: 0, unverified: 0 };

export function shareOut(ingestion, rows) {
  const [appended, overwritten, rejected] = ['appended', 'overwritten', 'rejected'].map((name) => ingestion[name] ?? 0);
  const left = rows - appended - overwritten - rejected;
  if (left < 0 || Math.min(appended, overwritten, rejected) < 0 || (ingestion.received ?? 0) > rows) return { ...NONE, unverified: rows };
  const failed = FAILED.has(word(ingestion.status));
  return { ...NONE, appended, overwritten, rejected: rejected + (failed ? left : 0), unverified: failed ? 0 : left };
}

export function sharesByStatus(status, rows) {
  return { ...NONE, [FAILED.has(word(status)) ? 'rejected' : DONE.has(word(status)) ? 'uncounted' : 'unverified']: rows };
}

export function report(outcomes, verify, complete = true) {
  const sum = (pick) => outcomes.reduce((total, each) => total + pick(each), 0);
  const made = { rows: sum((each) => each.rows) };
  for (const name of ['accepted', 'failed', 'invalid', 'ambiguous', 'unsent']) made[name] = sum((each) => (each.outcome === name ? each.rows : 0));
  for (const name of Object.keys(NONE)) made[name] = sum((each) => each[name] ?? 0);
  return { ...made, complete, ok: complete && made.accepted === made.rows && !made.rejected && !(verify && made.unverified) };
}
