// Errors, whose messages never contain the key, and the decision whether to retry.

export const FIRST_WAIT = 0.5, LONGEST_WAIT = 30, LONGEST_RETRY_AFTER = 120;

export class DataboxError extends Error {
  constructor(kind, message, fields = {}) {
    super(message);
    Object.assign(this, { kind, ...fields });
  }
}

// What a server said, in a form that can be shown. The key is removed first, before anything is shortened.

export const hidden = (value, key) => {
  if (!key) return value;
  if (typeof value === 'string') return value.replaceAll(key, '***');
  if (Array.isArray(value)) return value.map((each) => hidden(each, key));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [hidden(name, key), hidden(each, key)]));
};

// An unclosed tag extends to the end, so that the search does not start again at every "<".
const MARKUP = /<!--[\s\S]*?(-->|$)|<(script|style)\b[\s\S]*?(<\/\2\s*>|$)|<[^<>]*>/gi;
const NAMED = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' };
const line = (text) => {
  const words = text.replace(/[\u0000-\u0008\u000e-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e]/g, '').replace(/\s+/g, ' ').trim();
  return words.length > 300 ? `${words.slice(0, 300)}…` : words;
};
export const excerpt = (body) => {
  let words = body.slice(0, 20_000);
  if (/^\s*</.test(words)) words = words.replace(MARKUP, ' ');
  return line(words.replace(/&(amp|lt|gt|quot|apos|nbsp);/g, (found, name) => NAMED[name]));
};

export const text = (value) => (typeof value === 'string' ? value : Number.isInteger(value) || typeof value === 'bigint' ? String(value) : null);
export const object = (value) => (value !== null && typeof value === 'object' && !Array.isArray(value) ? value : {});

const says = (entry) => Boolean(entry) && !(typeof entry === 'object' && !Object.keys(entry).length);

// The entries of `errors`: a list of objects, or an object that maps fields to messages, as in ASP.NET. Empty entries are left out.
export const details = (value) => {
  if (value === null || value === undefined) return [];
  const byField = object(value);
  if (Object.keys(byField).length && !('code' in byField) && !('message' in byField)) {
    return Object.entries(byField).flatMap(([field, messages]) => [messages].flat().filter(says).map((message) => ({ message: String(message), field })));
  }
  return [value].flat().filter(says).map((entry) => (typeof entry === 'object'
    ? { code: text(entry.code), message: text(entry.message), field: text(entry.field), type: text(entry.type) }
    : { message: String(entry) }));
};

const KINDS = {
  400: 'BadRequestError', 401: 'AuthenticationError', 403: 'PermissionDeniedError', 404: 'NotFoundError', 409: 'ConflictError',
  413: 'RequestTooLargeError', 429: 'RateLimitError',
};
// The API documents its codes without statuses; these are the usual ones for each meaning.
const STATUS_OF = {
  invalid_json: 400, invalid_input: 400, invalid_field_value: 400, missing_required_field: 400, schema_mismatch: 400, too_many_errors: 400,
  dataset_limit_exceeded: 400, invalid_api_key: 401, forbidden: 403, not_found: 404, duplicate_record: 409, request_too_large: 413,
  rate_limited: 429, internal_error: 500, service_unavailable: 503,
};
const ADVICE = {
  BadRequestError: 'Correct the request.', AuthenticationError: 'Check the key.', PermissionDeniedError: 'The user does not have permission.',
  NotFoundError: 'Check the id.', ConflictError: 'It must be unique.', RequestTooLargeError: 'Send less at once.',
  RateLimitError: 'Wait, or share the key among fewer programs.', ServerError: 'Try again later, and quote the request id.',
};
const kindOf = (status) => (status >= 500 ? 'ServerError' : KINDS[status] ?? 'APIStatusError');
const isSuccess = (status) => status >= 200 && status < 300;
const requestId = (answer, response) => text(answer.requestId) ?? response.headers['x-request-id'] ?? null;

export function refusal(what, response, answer) {
  const errors = details(answer.errors), { status } = response;
  const kind = kindOf(isSuccess(status) ? STATUS_OF[errors[0]?.code] ?? 0 : status);
  const id = requestId(answer, response);
  const words = errors.slice(0, 3).map((e) => line([e.code, e.message].filter(Boolean).join(': ')) + (e.field ? ` [field ${e.field}]` : ''));
  const said = words.join('; ') || line(text(answer.message ?? answer.detail ?? answer.title) ?? '') || excerpt(response.body);
  const advice = status >= 300 && status < 400 ? 'Redirects are not followed.' : ADVICE[kind] ?? '';
  const message = `${what} failed with status ${status}${said ? `: ${said}` : ''}${id ? ` (request id ${id})` : ''}. ${advice}`;
  return new DataboxError(kind, message, {
    status_code: status, code: errors[0]?.code ?? null, field: errors[0]?.field ?? null, errors, request_id: id, retry_after: retryAfter(response.headers),
  });
}

export const unreadable = (request, status, problem, id = null) => new DataboxError('InvalidResponseError',
  `${request.method} ${request.path} was answered with status ${status}, but ${problem}. ${request.method === 'GET' ? '' : 'The request may have taken effect. '}`
  + "Check the address, and whether a proxy answers in the API's place.", { status_code: status, request_id: id });

export function retryAfter(headers) {
  const value = (headers['retry-after'] ?? '').trim();
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value);
  const moment = /^[A-Z][a-z]{2}, /.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(moment) ? null : Math.max(0, (moment - Date.now()) / 1000);
}

// Whether a failed request is retried depends on whether it can have taken effect.

export function effectOf(failure) {
  if (failure.connection) return { 'not sent': 'none', lost: 'open', certificate: 'refused' }[failure.connection];
  if (failure.kind === 'InvalidResponseError') return 'open';
  const { status_code: status, code } = failure;
  if ([408, 429, 503].includes(status)) return 'none';
  if (status < 300 && ['rate_limited', 'service_unavailable'].includes(code)) return 'none';
  return status >= 500 || (status < 300 && code === 'internal_error') ? 'open' : 'refused';
}

export const askedToWait = (failure) => (typeof failure?.retry_after === 'number' ? Math.min(failure.retry_after, LONGEST_RETRY_AFTER) : null);

export function waitBeforeRetry(failure, { attempt, max_retries: most, repeatable, random = Math.random() }) {
  const effect = effectOf(failure);
  if (attempt >= most || effect === 'refused' || (effect === 'open' && !repeatable)) return null;
  return askedToWait(failure) ?? random * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** attempt);
}
