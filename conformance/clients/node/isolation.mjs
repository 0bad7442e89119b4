// Finds the rows that a batch was refused for: in halves, then in quarters, then part by part. A refused request had no
// effect, so its rows can be sent again.

const BUDGET = 100, QUARTERS = 2;
// Codes that are not about individual rows.
const ELSEWHERE = new Set(['invalid_json', 'dataset_limit_exceeded', 'invalid_api_key', 'forbidden', 'not_found', 'method_not_allowed',
  'unsupported_media_type', 'rate_limited', 'internal_error', 'service_unavailable']);
const PLACE = /records?\[\d+\]|\b(?:row|record|line|item)s?\s*(?:(?:no\.?|number)\s*)?(?:[#:]\s*)?\d/i;
const escaped = (name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

const isAboutRows = (error) => (['BadRequestError', 'RequestTooLargeError'].includes(error?.kind) || error?.status_code === 422)
  && !error.errors.some((entry) => ELSEWHERE.has(entry.code));

// Whether the message of a refusal names a row or a column.
function namesRows(error, rows) {
  const words = error.errors.length ? error.errors.map((entry) => entry.message ?? '') : [error.message.slice(error.message.indexOf(': '))];
  const fields = error.errors.map((entry) => entry.field).filter(Boolean);
  if ([...words, ...fields].some((each) => PLACE.test(each))) return true;
  const columns = new Set(rows.flatMap((row) => Object.keys(JSON.parse(row.json))));
  if (fields.some((field) => columns.has(field) || columns.has(field.split('.').at(-1)))) return true;
  const names = `(?:${[...columns].filter(Boolean).map(escaped).join('|')})`;
  const naming = new RegExp(`['"\`‘“«]${names}['"\`’”»]|\\b(?:column|field)s?\\W+${names}\\b|\\b${names}\\W+(?:column|field)\\b`);
  return words.some((said) => naming.test(said));
}

const wordsOf = (error) => JSON.stringify(error.errors.length ? error.errors.map((e) => [e.code, e.message, e.field]) : error.message.replace(/ \(request id .*?\)/, ''));

// How many more rows may be isolated in a run.
export class Budget {
  left = BUDGET;
}

const amended = (error, words) => Object.assign(Object.create(Object.getPrototypeOf(error)), error, { message: `${error.message} ${words}` });
const rank = (part) => Math.min(part.depth, QUARTERS + 1);

// One batch while it is being sent: as a whole at first, and later perhaps in parts { rows, span, depth, attempts, error }.
// A span is [first position, position after the last]; it may include rows that are left out of the batch.
export class Isolation {
  ended = []; // [part, answer]
  #refused = [];
  #decided = false;
  #found = 0;

  constructor(rows, { span, isolate, resend, keyed, budget, lost = false }) {
    this.whole = { rows, span, depth: 0, attempts: { open: lost } };
    this.pending = [this.whole];
    Object.assign(this, { isolate, resend, keyed, budget });
  }

  // The part to send next. A part waits while an undecided earlier one has a row with the same key.
  next() {
    let found;
    const before = new Set();
    for (const part of this.pending) {
      const keys = part.rows.map((row) => row.key).filter((key) => key !== null);
      if ((!found || rank(part) < rank(found)) && !keys.some((key) => before.has(key))) found = part;
      for (const key of keys) before.add(key);
    }
    return found;
  }

  // Records that sending a part ended in { ingestionId } or { error, open }. Returns which parts replace it: [{ old, made }].
  answered(part, answer) {
    const { error } = answer;
    if (!this.isolate || !error || !isAboutRows(error)) return this.#ends(part, answer);
    part.error = error;
    if (part.depth === QUARTERS && !this.#decided) {
      this.#refused.push(part);
      if (this.#isAboutAll()) return this.#failsWhole(error);
    }
    if (part.rows.length === 1) {
      if (part.depth) { // otherwise it was alone before, perhaps because an earlier run isolated it
        this.budget.left -= 1;
        this.#found += 1;
      }
      // If the message names the row, an earlier attempt whose answer was lost was refused as well.
      const open = answer.open && !(this.keyed && namesRows(error, part.rows));
      return this.#ends(part, { ...answer, open });
    }
    if (answer.open && !this.resend) return this.#ends(part, answer);
    if (this.budget.left <= 0) return this.#ends(part, { ...answer, error: amended(error, `${BUDGET} rows of this run had already been isolated, so this batch was not split.`) });
    const changes = [this.#split(part, Math.ceil(part.rows.length / 2))];
    if (this.#refused.length === 4 && this.#refused[3] === part && !this.#decided && error.kind === 'RequestTooLargeError') {
      if (this.pending[0].rows.length > 1) changes.push(this.#split(this.pending[0], 1)); // fewer rows may be accepted, so a single row decides
      this.pending[0].depth = QUARTERS;
    }
    return changes;
  }

  // The outcome of each part, including those that were not sent.
  rest() {
    const waiting = this.pending.map((part) => [part, { error: part.error, open: part.attempts.open }]);
    return [...this.ended, ...waiting].sort(([one], [other]) => one.rows[0].index - other.rows[0].index);
  }

  #isAboutAll() {
    const errors = this.#refused.map((part) => part.error);
    if (errors.length < 4) return false;
    const same = new Set(errors.map(wordsOf)).size === 1 && !this.ended.some(([, answer]) => answer.ingestionId);
    if (!same || namesRows(errors[0], this.whole.rows)) {
      this.#decided = true;
      return false;
    }
    const largest = Math.max(...this.#refused.map((part) => part.rows.length));
    return errors.length > 4 || largest === 1 || errors[0].kind !== 'RequestTooLargeError';
  }

  #failsWhole(error) {
    const parts = [...this.ended.map(([part]) => part), ...this.pending];
    const open = this.whole.attempts.open || parts.some((part) => part.attempts.open);
    this.budget.left += this.#found;
    this.ended = [[this.whole, { error: amended(error, 'All parts of the batch were refused with this message, so the request is at fault.'), open }]];
    this.pending = [];
    return [{ old: parts, made: [this.whole] }];
  }

  #ends(part, answer) {
    this.ended.push([part, answer]);
    this.pending.splice(this.pending.indexOf(part), 1);
    return [];
  }

  #split(part, first) {
    const [start, end] = part.span, at = part.rows[first].index;
    const halves = [[part.rows.slice(0, first), [start, at]], [part.rows.slice(first), [at, end]]];
    const made = halves.map(([rows, span]) => ({ rows, span, depth: part.depth + 1, attempts: { open: part.attempts.open }, error: part.error }));
    this.pending.splice(this.pending.indexOf(part), 1, ...made);
    return { old: [part], made };
  }
}
