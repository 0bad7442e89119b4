// Requests the outcomes of accepted batches until they are known or time is up. Each poll is a single attempt.

import { DataboxError, askedToWait } from './errors.mjs';
import { pollWaits, rejectedPlaces, rejection, shareOut, sharesByStatus } from './settle.mjs';

const IN_VAIN = 3;
const now = () => performance.now() / 1000;
const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

// `leaves` are { rows, ingestionId, shares, … }; `learned` is called with each one that an answer is about.
export async function verify(client, datasetId, leaves, mode, seconds, learned) {
  const open = leaves.filter((leaf) => leaf.outcome === 'accepted' && leaf.shares.unverified && leaf.ask);
  const end = now() + seconds;
  await (mode === 'counts' ? byCounts : byStatus)(client, datasetId, open, end, learned);
  for (const leaf of open) {
    if (leaf.shares.unverified) leaf.error ??= `The outcome of ingestion ${leaf.ingestionId} was not known after ${seconds} seconds. Request it later.`;
  }
}

async function byCounts(client, datasetId, open, end, learned) {
  let waiting = [...open], waits = pollWaits(), inVain = 0;
  while (waiting.length) {
    if (now() >= end) { // one last poll for each, unless none succeeds
      for (const leaf of waiting) if (inVain < IN_VAIN) ({ inVain } = await ask(leaf));
      return;
    }
    const leaf = waiting.shift(), { settled, wait } = await ask(leaf);
    if (settled) {
      waits = pollWaits();
    } else {
      waiting.push(leaf);
      await sleep(Math.min(Math.max(waits.next().value, wait), Math.max(0, end - now())));
    }
  }

  async function ask(leaf) {
    try {
      const answer = await client.send('datasets.get_ingestion', { dataset_id: datasetId, ingestion_id: leaf.ingestionId }, { maxRetries: 0 });
      const shares = shareOut(answer, leaf.rows.length), places = rejectedPlaces(answer, shares, leaf.rows.length);
      Object.assign(leaf, { shares, error: rejection(answer, shares), rejected: places.map((place) => leaf.rows[place].index) });
      learned(leaf, answer);
      inVain = 0;
      return { settled: !shares.unverified, wait: 0, inVain };
    } catch (error) {
      if (!(error instanceof DataboxError)) throw error;
      leaf.error = error.message; // it says nothing about the rows
      inVain += 1;
      return { settled: false, wait: askedToWait(error) ?? 0, inVain };
    }
  }
}

async function byStatus(client, datasetId, open, end, learned) {
  const unknown = () => open.filter((leaf) => leaf.shares.unverified);
  let waits = pollWaits();
  while (unknown().length) {
    const last = now() >= end;
    let wait = 0;
    try {
      if (await readList()) waits = pollWaits();
    } catch (error) {
      if (!(error instanceof DataboxError)) throw error;
      for (const leaf of unknown()) leaf.error = error.message;
      wait = askedToWait(error) ?? 0;
    }
    if (last || !unknown().length) return;
    await sleep(Math.min(Math.max(waits.next().value, wait), Math.max(0, end - now())));
  }

  async function readList() {
    const seen = new Set();
    let useful = false;
    for (let page = 1, more = true; more && (page === 1 || now() < end); page += 1) {
      const list = await client.send('datasets.list_ingestions', { dataset_id: datasetId, page, page_size: 100 }, { maxRetries: 0 });
      for (const { id, status } of list.items) {
        for (const leaf of unknown().filter((each) => each.ingestionId === id)) {
          leaf.shares = sharesByStatus(status, leaf.rows.length);
          leaf.error = leaf.shares.rejected ? `The list reports ingestion ${id} with the status '${status}', and counts no rows.` : null;
          useful ||= !leaf.shares.unverified;
          learned(leaf, null);
        }
      }
      // A server that ignores `page` sends the same items each time.
      more = list.more && unknown().length > 0 && list.items.some(({ id }) => !seen.has(id));
      for (const { id } of list.items) seen.add(id);
    }
    return useful;
  }
}
