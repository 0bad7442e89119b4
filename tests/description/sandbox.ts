// The sandbox that the check has started, and what a check in a line looks like.
export const url: string = process.env["DATABOX_API_URL"] ?? "";
export const key: string = process.env["DATABOX_API_KEY"] ?? "";

/** Return a value that must be there, and be what is expected. */
export function must<T>(value: T | null | undefined, expected?: T): T {
  if (value === null || value === undefined || (expected !== undefined && value !== expected)) {
    throw new Error(`found ${JSON.stringify(value)}, expected ${JSON.stringify(expected) ?? "something"}`);
  }
  return value;
}

/** Let the next request of an operation be answered with a status. */
export async function faultyTimes(operation: string, status: number, times = 1): Promise<void> {
  const answer = await fetch(`${url}/_sandbox/faults`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ operation, status, times }),
  });
  must(answer.ok, true);
}
