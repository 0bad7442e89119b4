// Dead letters, the rows that were not stored: `<path>` has those that may be sent again, `<path>.reasons.jsonl` has all of
// them with the reason. Several runs may share the files: lines of others stay byte for byte.

import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { digestOf } from './journal.mjs';

const MEANING = { failed: 'It was refused, or all attempts failed.', ambiguous: 'It was sent, but the answer was lost: it may be stored.', unsent: 'It was not tried.' };

// Returns the dead letters, in the source's order: from leaves { rows, outcome, error, shares, rejected }, rows that were
// left out, and invalid rows.
export function lettersOf({ leaves, leftOut, invalid, keyed, rows }) {
  const letters = [], sure = new Map(), possible = new Map(); // by key: the last row that is stored, or may be
  for (const leaf of leaves) {
    const made = madeIt(leaf, keyed);
    for (const row of leaf.rows) {
      if (made.rows === 'some' && row.key) possible.set(row.key, { index: row.index, leaf });
      if (made.rows === 'yes' && !leaf.rejected.includes(row.index)) {
        if (row.key) sure.set(row.key, row.index);
      } else {
        letters.push({ row, leaf, outcome: made.outcome, again: made.again, reason: made.reason });
      }
    }
  }
  for (const { row, outcome, error, by } of leftOut) letters.push({ row, outcome, again: true, reason: error ?? '', by });
  for (const letter of letters) {
    const { row, leaf, by } = letter, other = possible.get(row.key);
    const accepted = Math.max(sure.get(row.key) ?? -1, by !== undefined && by >= rows ? by : -1);
    const perhaps = other && other.leaf !== leaf ? other.index : -1;
    if (row.key && Math.max(accepted, perhaps) > row.index) {
      const what = accepted > row.index ? 'was accepted' : 'may have been stored';
      Object.assign(letter, { again: false, reason: `${letter.reason} Do not send it again: row ${Math.max(accepted, perhaps)}, which is newer and has the same key, ${what}.` });
    }
  }
  letters.push(...invalid.map(({ index, json, shown, error }) => ({ row: { index, json: json ?? JSON.stringify(shown) }, outcome: 'invalid', again: false, reason: error })));
  return letters.sort((one, other) => one.row.index - other.row.index);
}

// Whether a leaf's rows are stored: "yes", except for known rejected ones; "some", but it is unknown which; or "no".
function madeIt(leaf, keyed) {
  const { outcome, error, shares, rejected, rows } = leaf;
  // Without keys, sending ambiguous rows again could store them twice.
  if (outcome !== 'accepted') return { rows: 'no', outcome, again: outcome !== 'ambiguous' || keyed, reason: error ?? MEANING[outcome] };
  if (!shares.rejected || rejected.length) return { rows: 'yes', outcome: 'rejected', again: true, reason: error ?? '' };
  if (shares.rejected === rows.length) return { rows: 'no', outcome: 'rejected', again: keyed, reason: error ?? '' };
  const some = `${shares.rejected} of this batch's ${rows.length} rows were rejected, and the API does not say which.`;
  return { rows: 'some', outcome: 'rejected', again: keyed, reason: `${some} ${error ?? ''}` };
}

// Appends dead letters, and removes those of earlier runs with the same journal. Lines of rows from `before` on, which
// this run did not reach, stay after them.
export function writeLetters(path, letters, runId, journal, before) {
  const reasonsPath = `${path}.reasons.jsonl`, again = letters.filter((letter) => letter.again);
  const resumed = journal && !journal.isNew, own = resumed ? journal.letters(path) : [];
  if (!letters.length && !resumed) return;
  const rows = again.map(({ row }) => [row.index, digestOf(row.json)]);
  journal?.noteLetters(path, [...own, ...rows]); // before the files change, so that a later run finds them even if the process is killed
  const { others: otherRows, kept: keptRows } = parted(linesOf(path), own, before);
  const reasons = linesOf(reasonsPath).map((line) => ({ line, mine: resumed && line.includes(`"run":"${runId}"`) }));
  const keptReasons = reasons.filter(({ line, mine }) => mine && JSON.parse(line).index >= before).map(({ line }) => line);
  const told = letters.map(({ row, outcome, again: may, reason }) => (
    `${JSON.stringify({ index: row.index, outcome, again: may, run: runId, reason }).slice(0, -1)},"row":${row.json}}`));
  put(path, [...otherRows, ...again.map(({ row }) => row.json), ...keptRows.map(({ line }) => line)]);
  put(reasonsPath, [...reasons.filter(({ mine }) => !mine).map(({ line }) => line), ...told, ...keptReasons]);
  journal?.noteLetters(path, [...rows, ...keptRows.map(({ index, line }) => [index, digestOf(line)])]);
}

// If lines of others have the same bytes, ours are the last ones.
function parted(lines, own, before) {
  const left = [...own], others = [], kept = [];
  for (const line of [...lines].reverse()) {
    const place = left.findLastIndex(([, digest]) => digest === digestOf(line));
    if (place < 0) {
      others.unshift(line);
    } else {
      const [[index]] = left.splice(place, 1);
      if (index >= before) kept.unshift({ index, line });
    }
  }
  return { others, kept };
}

const linesOf = (path) => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter((line, n, all) => line || n < all.length - 1) : []);

// Replaces the file as a whole, so that a crash leaves the old one or the new one.
function put(path, lines) {
  if (!lines.length) return rmSync(path, { force: true });
  writeFileSync(`${path}.new`, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
  return renameSync(`${path}.new`, path);
}
