// What answers about ingestions say about rows, and the arithmetic of the report.

const FAILED = new Set(['failed', 'failure', 'error', 'errored', 'rejected', 'cancelled', 'canceled', 'aborted']);
const DONE = new Set(['success', 'succeeded', 'completed', 'complete', 'processed', 'finished', 'done']);
const word = (status) => (status ?? '').trim().toLowerCase();
export const NONE = { appended: 0, overwritten: 0, rejected: 0, uncounted: 0, unverified: 0 };

// A number is what the server counted. A status decides only if it clearly reports failure.
export function shareOut(ingestion, rows) {
  const [appended, overwritten, rejected] = ['appended', 'overwritten', 'rejected'].map((name) => Number(ingestion[name] ?? 0));
  const left = rows - appended - overwritten - rejected;
  if (left < 0 || Math.min(appended, overwritten, rejected) < 0 || (ingestion.received ?? 0) > rows) return { ...NONE, unverified: rows };
  const failed = FAILED.has(word(ingestion.status));
  return { ...NONE, appended, overwritten, rejected: rejected + (failed ? left : 0), unverified: failed ? 0 : left };
}

// The list has no counts.
export function sharesByStatus(status, rows) {
  return { ...NONE, [FAILED.has(word(status)) ? 'rejected' : DONE.has(word(status)) ? 'uncounted' : 'unverified']: rows };
}

const reasons = (ingestion) => [...new Set(ingestion.errors.map((entry) => [entry.code, entry.message].filter(Boolean).join(': ')))].slice(0, 3).join('; ');

// Why rows are reported as rejected, or null if none are.
export function rejection(ingestion, shares) {
  if (!shares.rejected) return null;
  const why = reasons(ingestion) || 'it does not say why';
  return shares.rejected === Number(ingestion.rejected ?? 0)
    ? `The API rejected ${shares.rejected} rows of ingestion ${ingestion.id}: ${why}`
    : `Ingestion ${ingestion.id} has the status '${ingestion.status}' and does not count all rows; the others are taken as rejected: ${why}`;
}

// The positions of the rejected rows within the batch, if the server says which they are; otherwise none.
export function rejectedPlaces(ingestion, shares, rows) {
  if (Number(ingestion.rejected ?? 0) === rows && shares.rejected === rows) return [...Array(rows).keys()];
  const named = ingestion.errors.map((entry) => /^records\[(\d{1,3})\]/.exec(entry.field ?? '')).filter(Boolean).map((found) => Number(found[1]));
  const places = [...new Set(named)].sort((one, other) => one - other);
  return places.length === shares.rejected && places.every((place) => place < rows) ? places : [];
}

// The waits between polls, each of which costs a request.
export function* pollWaits() {
  for (let wait = 0.25; ; wait = Math.min(10, wait * 1.5)) yield wait;
}

export function report(outcomes, verify, complete = true) {
  const sum = (pick) => outcomes.reduce((total, each) => total + pick(each), 0);
  const made = { rows: sum((each) => each.rows) };
  for (const name of ['accepted', 'failed', 'invalid', 'ambiguous', 'unsent']) made[name] = sum((each) => (each.outcome === name ? each.rows : 0));
  for (const name of Object.keys(NONE)) made[name] = sum((each) => each[name] ?? 0);
  return { ...made, complete, ok: complete && made.accepted === made.rows && !made.rejected && !(verify && made.unverified) };
}
