// The rate limit of a key: 10 requests in any second and 10,000 in any hour. What counts is when a request leaves.

export const SECOND = 1.014, HOUR = 3601, PER_SECOND = 10, PER_HOUR = 10_000;
const LATE = 0.01;
const now = () => performance.now() / 1000;
const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

export class RequestLog {
  times = [];
  pausedUntil = 0;

  next(moment, perSecond, perHour) {
    const latest = (count) => this.times.at(-count);
    return Math.max(moment, this.pausedUntil, latest(1) ?? moment, (latest(perSecond) ?? -Infinity) + SECOND, (latest(perHour) ?? -Infinity) + HOUR);
  }

  reserve(moment, perSecond, perHour) {
    const at = this.next(moment, perSecond, perHour);
    this.times.push(at);
    return at;
  }

  correct(at, left) {
    this.times.splice(this.times.indexOf(at), 1, left);
    this.times.sort((one, other) => one - other);
  }

  pause(moment, seconds) {
    this.pausedUntil = Math.max(this.pausedUntil, moment + seconds);
    this.times = this.times.filter((time) => time <= moment);
  }
}

// Lets requests leave in the order in which they asked.
export class Limiter {
  #log = new RequestLog();
  #queue = Promise.resolve();

  constructor(perSecond = PER_SECOND, perHour = PER_HOUR) {
    Object.assign(this, { perSecond, perHour });
  }

  // Resolves to the time that was recorded for the request.
  turn() {
    const turn = this.#queue.then(async () => {
      for (;;) {
        const moment = now(), at = this.#log.next(moment, this.perSecond, this.perHour);
        if (at <= moment) return this.#log.reserve(moment, this.perSecond, this.perHour);
        await sleep(at - moment); // and then asks again, because a pause may have begun in the meantime
      }
    });
    this.#queue = turn;
    return turn;
  }

  left(at) {
    if (now() - at > LATE) this.#log.correct(at, now());
  }

  pause(seconds) {
    this.#log.pause(now(), seconds);
  }
}

const shared = new Map();

// All clients in a process that use the same key and host share a limit.
export function limiterOf(key, baseUrl) {
  const name = `${baseUrl} ${key}`;
  if (!shared.has(name)) shared.set(name, new Limiter());
  return shared.get(name);
}
