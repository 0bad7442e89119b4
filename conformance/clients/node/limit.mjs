// The limit of a key: 10 requests in any second, 10,000 in any hour, by when they leave.

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

// Lets requests out in the order in which they asked.
export class Limiter {
  #log = new RequestLog();
  #queue = Promise.resolve();

  constructor(perSecond = PER_SECOND, perHour = PER_HOUR) {
    Object.assign(this, { perSecond, perHour });
  }

  // Resolves to the moment that is noted for the request.
  turn() {
    const turn = this.#queue.then(async () => {
      for (;;) {
        const moment = now(), at = this.#log.next(moment, this.perSecond, this.perHour);
        if (at <= moment) return this.#log.reserve(moment, this.perSecond, this.perHour);
        await sleep(at - moment); // and asks again: a pause may have begun meanwhile
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

// All clients of a process that use one key and host share its limit.
export function limiterOf(key, baseUrl) {
  const name = `${baseUrl} ${key}`;
  if (!shared.has(name)) shared.set(name, new Limiter());
  return shared.get(name);
}
