// Decides whether the service is down, and which batch tries next if it is. Times are in seconds.

import { LONGEST_WAIT, askedToWait, effectOf } from './errors.mjs';

export const DENIALS = new Set(['AuthenticationError', 'PermissionDeniedError']);
const FIRST_WAIT = 1, DENIED_WAITS = [1, 3, 6], STRIKES = 2, ALONE = 3, LOOK = 0.05, REMEMBERED = 256;

export class Patience {
  #onTheirWay = new Set();
  #kept = []; // in the order in which they try
  #fresh = new Set(); // those of them that were not tried yet
  #passed = []; // successes at the first attempt: { number, left, heard }
  #failed = []; // failures, even of a first attempt only: { number, heard }
  #struck = new Map();
  #alone = new Map();
  #heardAt = new Map();
  #out = null; // 'away' or 'denied', while everything is held back
  #since = 0;
  #next = 0;
  #asked = 0;
  #denied = 0;
  #asking = null;
  #latest = -Infinity;
  #accepted = false;
  stopped = false;
  over = null; // how long the run waited before it gave up

  constructor(seconds, concurrency, resend) {
    Object.assign(this, { seconds, concurrency, resend });
  }

  get kept() {
    return this.#kept.length;
  }

  // How many waiting batches make room for one that was not tried yet: none while such a one is waiting.
  get makesRoom() {
    return this.#fresh.size || this.#out === 'denied' ? 0 : this.#kept.length;
  }

  // After how many seconds a batch may ask again: 0 if it can be sent now, null if the run stops.
  turn(number, now) {
    if (this.stopped || this.over) return this.#forget(number, null);
    if (this.#out === null) {
      if (this.#onTheirWay.size >= this.concurrency) return LOOK;
      return this.#goes(number);
    }
    if (!this.#kept.includes(number)) {
      this.#kept.splice(this.#fresh.size, 0, number);
      this.#fresh.add(number);
    }
    if (this.#asking !== null) return LOOK;
    const wait = this.#next - now;
    if (wait > 0) {
      if (this.#out === 'away' && now >= this.#since + this.seconds) {
        this.#giveUp(now);
        return this.#forget(number, null);
      }
      return Math.min(wait, LOOK);
    }
    if (this.#kept[0] !== number) return LOOK;
    this.#asking = number;
    return this.#goes(number);
  }

  // Whether a batch is the one that tries whether the service is back, which it does in a single attempt.
  asks(number) {
    return this.#asking === number;
  }

  isSuspect(number) {
    return (this.#struck.get(number) ?? 0) > 0;
  }

  passed(number, attempts, now) {
    this.#ended(number);
    this.#accepted = true;
    this.#answers(number, attempts, now);
  }

  // Records that sending a batch failed; returns whether it is kept to be tried later.
  keeps(number, failure, attempts, now) {
    const asked = this.#asking === number, denied = DENIALS.has(failure.kind);
    this.#ended(number);
    if (!denied && failure.status_code && failure.kind !== 'InvalidResponseError' && effectOf(failure) === 'refused') {
      this.#answers(number, attempts, now);
      return false;
    }
    const kept = denied ? this.#denies(failure, now, asked) : this.#isAway(number, failure, attempts, now, asked);
    if (kept) this.#kept.push(number);
    else this.#clear(number);
    return kept;
  }

  // The service accepted a batch, or refused it for its content: it is up.
  #answers(number, attempts, now) {
    const started = attempts.startedAt ?? now;
    if (attempts.failedAt === undefined || attempts.failedAt >= started) this.#passed.push({ number, left: started, heard: now });
    else this.#failed.push({ number, heard: now });
    for (const list of [this.#passed, this.#failed]) list.splice(0, list.length - REMEMBERED);
    this.#latest = now;
    this.#clear(number);
    if (this.#out && started >= this.#since) {
      this.#out = this.#asking = null;
      this.#asked = this.#denied = 0;
      this.#kept = [];
      this.#fresh.clear();
    }
  }

  #clear(number) {
    for (const map of [this.#heardAt, this.#struck, this.#alone]) map.delete(number);
  }

  // Whether a batch that fails again is itself at fault, and not the service: in the meantime, more succeeded than failed.
  #isTheBatch(number, first, last, now, asked) {
    const since = this.#heardAt.get(number) ?? first;
    const clean = new Set(this.#passed.filter((each) => each.left > since && each.heard <= last).map((each) => each.number));
    const failing = new Set(this.#failed.filter((each) => each.heard > since && !this.#struck.get(each.number) && each.number !== number).map((each) => each.number));
    this.#heardAt.set(number, now);
    this.#failed.push({ number, heard: now });
    const struck = this.#struck.get(number) ?? 0;
    if (clean.size > failing.size) {
      this.#struck.set(number, struck + 1);
      this.#alone.set(number, 0);
    } else if (struck && asked && !this.#kept.length && !this.#onTheirWay.size) {
      this.#alone.set(number, (this.#alone.get(number) ?? 0) + 1);
    }
    return (this.#struck.get(number) ?? 0) >= STRIKES || (this.#alone.get(number) ?? 0) >= ALONE;
  }

  // A key that worked earlier in this run is tried again, three times.
  #denies(failure, now, asked) {
    if (!this.#accepted || this.stopped || this.over) return false;
    if (this.#out !== 'denied') {
      this.#since = this.#out ? this.#since : now;
      this.#out = 'denied';
      this.#next = now + (askedToWait(failure) ?? DENIED_WAITS[Math.min(this.#denied, 2)]);
    } else if (asked) {
      this.#denied += 1;
      if (this.#denied >= DENIED_WAITS.length) {
        this.over = `The key had worked earlier in this run, so it was tried ${DENIED_WAITS.length} more times.`;
        return false;
      }
      this.#next = now + (askedToWait(failure) ?? DENIED_WAITS[this.#denied]);
    }
    return true;
  }

  #isAway(number, failure, attempts, now, asked) {
    const effect = effectOf(failure);
    const mayPass = effect !== 'refused' && (this.resend || !(attempts.open || effect === 'open'));
    if (this.stopped || this.over || !this.seconds || !mayPass) return false;
    const first = attempts.failedAt ?? now, last = attempts.startedAt ?? now;
    if (this.#isTheBatch(number, first, last, now, asked)) return false;
    if (this.#out === null) {
      this.#since = Math.max(first, this.#latest);
      this.#asked = 0;
      this.#out = 'away';
      this.#plan(failure, now);
    } else if (asked) {
      this.#out = 'away';
      this.#asked += 1;
      this.#plan(failure, now);
    }
    if (now >= this.#since + this.seconds && this.#asking === null) {
      this.#giveUp(now);
      return false;
    }
    return true;
  }

  // Plans when the service is tried next; for the last time when `patience` is over.
  #plan(failure, now) {
    const told = askedToWait(failure);
    this.#next = told === null
      ? Math.min(now + Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#asked), Math.max(now, this.#since + this.seconds))
      : now + told;
  }

  #giveUp(now) {
    this.over = `The service accepted nothing for ${Math.round(now - this.#since)} seconds, so the run was stopped.`;
  }

  #goes(number) {
    this.#forget(number);
    this.#onTheirWay.add(number);
    return 0;
  }

  #ended(number) {
    this.#onTheirWay.delete(number);
    this.#forget(number);
    if (this.#asking === number) this.#asking = null;
  }

  #forget(number, result) {
    this.#fresh.delete(number);
    this.#kept = this.#kept.filter((each) => each !== number);
    return result;
  }
}
