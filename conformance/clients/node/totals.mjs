// Detects from the dataset's totals whether rows that earlier runs stored are gone. Only a purge removes rows, so a total
// falls only after a purge.

const REMEDY = 'The API does not say which of these rows are left, and they are not sent again. Purge the dataset and start over with another journal.';
const larger = (one, other) => (one && one.rows >= other.rows ? one : other);

export class Totals {
  #told = null;
  #since = null;
  #fell = false;
  #appended = 0;
  #appendedNew = 0;
  #asked = new Set();

  // `before` is { rows, id }: the total that an earlier run saw, and the ingestion whose answer had it.
  constructor(before, resumed) {
    Object.assign(this, { before, resumed, compared: !before });
  }

  // Records the total in an answer. `isNew` says that its ingestion was created in this run.
  told(rows, id, isNew, appended = 0) {
    const total = { rows, id };
    this.#told = larger(this.#told, total);
    this.#appended += appended;
    this.#appendedNew += isNew ? appended : 0;
    if (this.before && (isNew || id === this.#since?.id || id === this.before.id)) {
      this.compared = true;
      this.#since = larger(this.#since, total);
      this.#fell ||= rows < this.before.rows;
    }
  }

  // The next ingestion to request, each once; null if no request would tell more.
  question(settled) {
    const short = settled && !this.#fell ? this.#short : null;
    const wanted = short ? short.total : this.compared ? null : this.before;
    if (!wanted || this.#asked.has(wanted.id)) return null;
    this.#asked.add(wanted.id);
    return wanted.id;
  }

  // The total that the next run must find at least.
  get least() {
    const largest = this.#told ? larger(this.before, this.#told) : this.before, short = this.#short;
    return largest && short && short.expected > largest.rows ? { rows: short.expected, id: short.total.id } : largest;
  }

  // Why rows of earlier runs may be gone, or null.
  loss(settled) {
    if (this.#fell) return `The dataset had ${this.before.rows} rows after an earlier run with this journal, and has ${this.#since.rows} now: it was purged in between. ${REMEDY}`;
    const short = settled ? this.#short : null;
    return short && `The dataset has ${short.total.rows} rows, but should have at least ${short.expected}: it was purged in between. ${REMEDY}`;
  }

  get #short() {
    if (!this.resumed) return null;
    if (this.before && this.#since && this.#since.rows < this.before.rows + this.#appendedNew) return { expected: this.before.rows + this.#appendedNew, total: this.#since };
    return this.#told && this.#told.rows < this.#appended ? { expected: this.#appended, total: this.#told } : null;
  }
}
