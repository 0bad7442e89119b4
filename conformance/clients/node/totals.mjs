// Whether the rows that earlier runs stored are still there, as far as the dataset's totals tell. Nothing but a purge
// takes rows away, so a total never falls otherwise.

const REMEDY = 'Which of these rows are left the API does not say, and they are not sent again. Purge the dataset and start anew with another journal.';
const larger = (one, other) => (one && one.rows >= other.rows ? one : other);

export class Totals {
  #told = null;
  #since = null;
  #fell = false;
  #appended = 0;
  #appendedNew = 0;
  #asked = new Set();

  // `before` is { rows, id }: what an earlier run was told, and with which ingestion.
  constructor(before, resumed) {
    Object.assign(this, { before, resumed, compared: !before });
  }

  // An answer told a total. `isNew` says that its ingestion was created in this run.
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

  // The next ingestion to ask about, each once; null when there is nothing to learn by that.
  question(settled) {
    const short = settled && !this.#fell ? this.#short : null;
    const wanted = short ? short.total : this.compared ? null : this.before;
    if (!wanted || this.#asked.has(wanted.id)) return null;
    this.#asked.add(wanted.id);
    return wanted.id;
  }

  // The number of rows that the next run must find.
  get least() {
    const largest = this.#told ? larger(this.before, this.#told) : this.before, short = this.#short;
    return largest && short && short.expected > largest.rows ? { rows: short.expected, id: short.total.id } : largest;
  }

  // Why rows of earlier runs may not be there any more, or null.
  loss(settled) {
    if (this.#fell) return `The dataset held ${this.before.rows} rows after an earlier run of this journal, and ${this.#since.rows} now: it was purged in between. ${REMEDY}`;
    const short = settled ? this.#short : null;
    return short && `The dataset holds ${short.total.rows} rows, and there would be at least ${short.expected}: it was purged in between. ${REMEDY}`;
  }

  get #short() {
    if (!this.resumed) return null;
    if (this.before && this.#since && this.#since.rows < this.before.rows + this.#appendedNew) return { expected: this.before.rows + this.#appendedNew, total: this.#since };
    return this.#told && this.#told.rows < this.#appended ? { expected: this.#appended, total: this.#told } : null;
  }
}
