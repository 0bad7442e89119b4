// The 13 operations: the request of each, and how its answer is read.

import { details, excerpt, hidden, object, refusal, text, unreadable } from './errors.mjs';
import { parse } from './json.mjs';

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
  'datasets.create_ingestion': (a) => post(`/v1/datasets/${segment(a.dataset_id)}/data`, a.body ?? { records: a.records }, a.repeatable),
  'datasets.list_ingestions': (a) => get(`/v1/datasets/${segment(a.dataset_id)}/ingestions`, { page: a.page, pageSize: a.page_size }),
  'datasets.get_ingestion': (a) => get(`/v1/datasets/${segment(a.dataset_id)}/ingestions/${segment(a.ingestion_id)}`),
};

// An id that is empty, `.` or `..` would lead to another path.
export function checkIds(args) {
  for (const name of ['dataset_id', 'ingestion_id']) {
    if (name in args && ['', '.', '..'].includes(String(args[name]).trim())) throw new TypeError(`${name} is not an id: '${args[name]}'.`);
  }
}

// The fields of each model. A malformed value is null, and stays in `extra` unchanged.

const integer = (value) => {
  if (Number.isSafeInteger(value) || typeof value === 'bigint') return value;
  return typeof value === 'string' && /^-?\d{1,19}$/.test(value) ? parse(value) : null;
};
const number = (value) => (typeof value === 'number' ? value : null);
const truth = (value) => (typeof value === 'boolean' ? value : null);
const instant = (value) => {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\d/.test(value)) return null;
  const moment = new Date(/(Z|[+-]\d\d:?\d\d)$/.test(value) ? value : `${value}Z`);
  return Number.isNaN(moment.getTime()) ? null : moment.toISOString();
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

class Unusable extends Error {}

function model(shape, document, where) {
  const found = {}, extra = { ...document };
  for (const [name, path, readAs, required] of SHAPES[shape]) {
    const raw = path.split('.').reduce((value, part) => object(value)[part], document);
    found[name] = readAs(raw);
    if (required && (found[name] === null || found[name] === '')) throw new Unusable(`${where} has no usable '${path}'`);
    if (raw === undefined || raw === null || found[name] !== null) delete extra[path.split('.')[0]];
  }
  return { ...found, extra };
}

// Returns the result in an answer, or throws the error that it reports. `response` is { status, headers, body }; the key is
// removed from all of it first.
export function read(name, request, response, args = {}, key = '') {
  const headers = hidden(response.headers, key), succeeded = response.status >= 200 && response.status < 300;
  if (response.status === 204 && (request.method === 'DELETE' || name === 'datasets.purge')) return null;
  let document, isJson = true;
  try {
    document = hidden(parse(response.body.replace(/^\ufeff/, '')), key);
  } catch {
    isJson = false;
  }
  const answer = object(document), said = { status: response.status, headers, body: hidden(response.body, key) };
  const invalid = (problem) => unreadable(request, response.status, problem, text(answer.requestId));
  if (succeeded && !isJson) throw invalid(said.body ? `the body is not JSON: ${excerpt(said.body)}` : 'the body is empty');
  const isOutcome = name === 'datasets.get_ingestion' && answer.ingestionId;
  const refuses = typeof answer.status === 'string' ? answer.status.toLowerCase() === 'error' : (answer.status ?? null) === null && details(answer.errors).length > 0;
  if (!succeeded || (refuses && !isOutcome)) throw refusal(`${request.method} ${request.path}`, said, answer);
  try {
    return result(name, request, document, args);
  } catch (error) {
    throw error instanceof Unusable ? invalid(error.message) : error;
  }
}

function result(name, request, document, args) {
  if (document === null || typeof document !== 'object' || Array.isArray(document)) throw new Unusable('the answer is not a JSON object');
  if (LISTS[name]) return listing(name, document, args);
  if (OBJECTS[name]) return { ...whole(OBJECTS[name], document), ...known(name, args) };
  if (request.method === 'DELETE' && 'id' in document) return null; // the deleted object
  if (!('requestId' in document) && !('status' in document)) throw new Unusable("the answer has neither 'requestId' nor 'status'");
  return null;
}

function whole(shape, { requestId, ...rest }) {
  const { status, ...others } = rest;
  return { ...model(shape, shape === 'ingestion' ? rest : others, 'the answer'), request_id: text(requestId) };
}

function known(name, args) {
  return name === 'datasets.create' ? { data_source_id: args.data_source_id, primary_keys: args.primary_keys ?? [] } : {};
}

function listing(name, answer, args) {
  const [field, shape] = LISTS[name];
  if (!Array.isArray(answer[field])) throw new Unusable(`'${field}' is not a list`);
  const more = name === 'data_sources.list_datasets' ? { data_source_id: args.data_source_id } : {};
  const items = answer[field].map((item, place) => ({ ...model(shape, object(item), `${field}[${place}]`), ...more }));
  const pages = object(answer.pagination), total = integer(pages.totalItems);
  const asked = integer(pages.pageSize) ?? args.page_size ?? 100;
  const seen = args.page ? (args.page - 1) * asked + items.length : items.length;
  const isMore = items.length > 0 && (total !== null ? seen < total : items.length >= asked);
  return { items, total, more: isMore, request_id: text(answer.requestId) };
}

// An answer about another ingestion than the one requested is invalid.
export function isAbout(ingestionId) {
  return (ingestion) => {
    if (ingestion.id.toLowerCase() !== String(ingestionId).toLowerCase()) {
      throw unreadable({ method: 'GET', path: 'of an ingestion' }, 200, `it is about another ingestion, ${ingestion.id.slice(0, 100)}`);
    }
    return ingestion;
  };
}
