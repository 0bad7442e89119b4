"use strict";
// Shows what is in the sandbox, anew every second. Texts go into the page as texts, never as markup.

const PAGE = 50;
const CHARTED = 2000;
const at = (id) => document.getElementById(id);
const shown = { dataset: null, offset: 0, last: null, signature: "", overview: null };

// What turns a line around, hides, or does something else than show is written out, as Python would write it.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0d\u{e0100}-\u{e01ef}]/gu;
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function visible(text) {
  return text.replace(HIDDEN, (hidden) => {
    const code = hidden.codePointAt(0).toString(16);
    if (SHORT[hidden]) return SHORT[hidden];
    return code.length < 3 ? `\\x${code.padStart(2, "0")}` : code.length < 5 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`;
  });
}

function write(id, text) {
  at(id).textContent = visible(text);
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, name === "data-id" ? value : visible(value));
  }
  made.append(...children.map((child) => (typeof child === "string" ? visible(child) : child)));
  return made;
}

// Whole numbers that a double cannot hold stay what they are, in browsers that show a reviver the source.
function exact(name, found, context) {
  const cut = typeof found === "number" && Number.isInteger(found) && !Number.isSafeInteger(found);
  return cut && /^-?\d+$/.test(context?.source ?? "") ? BigInt(context.source) : found;
}

async function ask(path, options) {
  const answer = await fetch(path, options);
  const found = JSON.parse(await answer.text(), exact);
  if (!answer.ok) throw new Error(found.error);
  return found;
}

function table(name, headings, rows) {
  const cells = headings.map(([text, kind, note]) =>
    element("th", { scope: "col", class: kind }, text, ...(note ? [element("small", {}, note)] : [])));
  return element("table", { "aria-label": name }, element("thead", {}, element("tr", {}, ...cells)), element("tbody", {}, ...rows));
}

function value(cell) {
  if (cell === null || cell === undefined) return element("td", { class: "null" }, cell === null ? "null" : "");
  const text = String(cell);
  return element("td", { class: ["number", "bigint"].includes(typeof cell) ? "number" : null, title: text.length > 40 ? text : null }, text);
}

// Columns may be called anything, also what every object has.
function own(object, name) {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function datasets() {
  return shown.overview.dataSources.flatMap((source) => source.datasets);
}

// The dataset that the address names, or null.
function addressed() {
  const [, id] = /^#\/datasets\/(.+)$/.exec(location.hash) ?? [];
  try {
    return id === undefined ? null : decodeURIComponent(id);
  } catch {
    return id;
  }
}

// Without one in the address it is the newest that has rows, and it stays, so that nobody reads on in another.
function select() {
  const current = datasets().find((each) => each.id === shown.dataset);
  const chosen = addressed() ?? (current?.rowCount ? current.id : shown.overview.newest);
  if (chosen !== shown.dataset) shown.offset = 0;
  shown.dataset = chosen;
}

function repeated(titles) {
  return new Set(titles.filter((title, place) => titles.indexOf(title) !== place));
}

// Titles need not be unique; where one repeats, the id tells which is meant.
function named(thing, titles) {
  return titles.has(thing.title) ? [thing.title, element("small", {}, String(thing.id))] : [thing.title];
}

function showSources() {
  const focused = document.activeElement?.dataset?.id;
  const sources = repeated(shown.overview.dataSources.map((source) => source.title));
  const titles = repeated(datasets().map((dataset) => dataset.title));
  const parts = shown.overview.dataSources.flatMap((source) => [
    element("h2", {}, ...named(source, sources)),
    source.datasets.length
      ? element("ul", {}, ...source.datasets.map((dataset) => {
          const current = dataset.id === shown.dataset;
          const link = element("a", { "aria-current": current ? "true" : "false", "data-id": dataset.id },
            element("span", {}, ...named(dataset, titles)), element("span", {}, dataset.rowCount.toLocaleString("en")));
          link.href = `#/datasets/${encodeURIComponent(dataset.id)}`;
          return element("li", {}, link);
        }))
      : element("p", { class: "quiet" }, "No datasets."),
  ]);
  at("sources").replaceChildren(...(parts.length ? parts : [element("p", { class: "quiet" }, "No data sources yet. Send something.")]));
  if (focused) at("sources").querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
}

async function showDataset() {
  const dataset = datasets().find((each) => each.id === shown.dataset);
  at("pages").hidden = !dataset;
  if (!dataset) {
    write("dataset", "Rows");
    write("about", shown.dataset === null ? "There is no dataset yet." : `There is no dataset ${shown.dataset}. Choose another.`);
    at("chart").hidden = true;
    at("rows").replaceChildren();
    showIngestions([]);
    return;
  }
  shown.offset = Math.max(0, Math.min(shown.offset, Math.floor((dataset.rowCount - 1) / PAGE) * PAGE));
  const { offset } = shown;
  const id = encodeURIComponent(dataset.id);
  const every = Math.max(1, Math.ceil(dataset.rowCount / CHARTED));
  const [page, charted, { ingestions }] = await Promise.all([
    ask(`rows/${id}?offset=${offset}&limit=${PAGE}`),
    ask(`rows/${id}?limit=${CHARTED}&every=${every}`),
    ask(`ingestions/${id}`),
  ]);
  if (dataset.id !== shown.dataset || offset !== shown.offset) return; // somebody went on meanwhile
  const names = [...new Set(page.rows.flatMap((row) => Object.keys(row)))];
  const types = dataset.columns;
  const keys = dataset.primaryKeys;
  write("dataset", dataset.title);
  write("about", `${dataset.rowCount.toLocaleString("en")} rows, ${Object.keys(types).length} columns` +
    (keys.length ? `, identified by ${keys.join(", ")}` : ", no primary keys") + ` · ${dataset.id}`);
  at("rows").replaceChildren(table("Rows",
    names.map((name) => [name, own(types, name) === "number" ? "number" : null, (own(types, name) || "null") + (keys.includes(name) ? ", key" : "")]),
    page.rows.map((row) => element("tr", {}, ...names.map((name) => value(own(row, name)))))));
  write("place", page.rows.length ? `${shown.offset + 1} to ${shown.offset + page.rows.length} of ${dataset.rowCount.toLocaleString("en")}` : "no rows");
  at("older").disabled = shown.offset === 0;
  at("newer").disabled = shown.offset + PAGE >= dataset.rowCount;
  showChart(charted.rows, every, dataset);
  showIngestions(ingestions);
}

function showChart(rows, every, { columns: types, primaryKeys: keys, rowCount }) {
  const time = Object.keys(types).find((name) => types[name] === "datetime");
  const column = Object.keys(types).find((name) => types[name] === "number" && !keys.includes(name));
  const points = rows
    .map((row, place) => [time === undefined ? place : Date.parse(own(row, time)), own(row, column),
      time === undefined ? `row ${place * every + 1}` : String(own(row, time)).slice(0, 10)])
    .filter(([when, number]) => Number.isFinite(when) && typeof number === "number")
    .sort((a, b) => a[0] - b[0]);
  at("chart").hidden = points.length < 2 || points[0][0] === points[points.length - 1][0];
  if (at("chart").hidden) return;
  const [from, to] = [points[0], points[points.length - 1]];
  const numbers = points.map(([, number]) => number);
  const low = Math.min(0, ...numbers);
  const high = Math.max(...numbers) > low ? Math.max(...numbers) : low + 1;
  const scale = Math.max(-low, high); // the difference of two doubles may be none
  const x = (when) => ((when - from[0]) / (to[0] - from[0])) * 1000;
  const y = (number) => 100 - ((number / scale - low / scale) / (high / scale - low / scale)) * 96;
  const line = points.map(([when, number]) => `${x(when).toFixed(1)} ${y(number).toFixed(1)}`).join(" L ");
  const without = rows.length - points.length;
  const caption = `${column}${time === undefined ? "" : ` by ${time}`}, ${from[2]} to ${to[2]}: ${Math.min(...numbers)} to ${Math.max(...numbers)}` +
    (every > 1 ? ` (one row in ${every} of ${rowCount.toLocaleString("en")})` : "") +
    (without ? ` (${without.toLocaleString("en")} without a value left out)` : "");
  const draw = (tag, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, text] of Object.entries(attributes)) made.setAttribute(name, text);
    return made;
  };
  const picture = draw("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img", "aria-label": visible(caption) });
  picture.append(draw("path", { class: "area", d: `M 0 ${y(low)} L ${line} L 1000 ${y(low)} Z` }), draw("path", { class: "line", d: `M ${line}` }));
  at("chart").replaceChildren(picture, element("figcaption", {}, caption));
}

function showIngestions(ingestions) {
  const count = (number, kind) => element("td", { class: `number ${number ? kind : ""}` }, number == null ? "–" : String(number));
  const rows = ingestions.map((each) => element("tr", {},
    element("td", {}, each.timestamp.slice(11, 19)),
    element("td", { class: each.status === "success" ? "good" : "wait" }, each.status),
    count(each.received, ""), count(each.appended, "good"), count(each.overwritten, ""), count(each.rejected, "bad"),
    element("td", {}, each.errors.map((error) => error.message).join(" "))));
  at("ingestions").replaceChildren(rows.length
    ? table("Ingestions", [["Time"], ["Status"], ["Received", "number"], ["Appended", "number"], ["Overwritten", "number"], ["Rejected", "number"], ["Errors"]], rows)
    : element("p", { class: "quiet" }, "None yet."));
}

function showRequests(requests) {
  const rows = requests.reverse().map((each) => element("tr", { class: each.number > (shown.last ?? Infinity) ? "fresh" : null },
    element("td", { class: "number" }, String(each.number)),
    element("td", {}, element("code", {}, `${each.method} ${each.path}`)),
    element("td", {}, each.operation ?? "–"),
    element("td", { class: `number ${each.status === null ? "wait" : each.status < 400 ? "good" : "bad"}` }, each.status === null ? "no answer" : String(each.status)),
    element("td", { class: "number" }, each.bytes.toLocaleString("en"))));
  shown.last = requests.length ? Math.max(...requests.map((each) => each.number)) : shown.last;
  at("requests").replaceChildren(rows.length
    ? table("Requests", [["No.", "number"], ["Request"], ["Operation"], ["Status", "number"], ["Bytes", "number"]], rows)
    : element("p", { class: "quiet" }, "None yet."));
}

// What a screen reader tells its user: each change once, so the clock has no place here.
function say(status, figures) {
  if (at("status").textContent !== visible(status)) write("status", status);
  write("figures", figures);
}

async function refresh() {
  try {
    const overview = await ask("overview");
    const { clock, ...lasting } = overview;
    const signature = JSON.stringify(lasting);
    say("Connected", `· ${overview.requests.toLocaleString("en")} requests · clock ${clock.slice(0, 19).replace("T", " ")} UTC`);
    if (signature !== shown.signature) {
      shown.overview = overview;
      select();
      showSources();
      showRequests((await ask("requests?bodies=false&limit=50")).requests);
      await showDataset();
      shown.signature = signature;
    }
  } catch (error) {
    complain(error);
  }
}

function complain(error) {
  shown.signature = ""; // show all of it when there is an answer again
  say(`No answer from the sandbox (${error.message}). Trying again.`, "");
}

function leaf(rows) {
  shown.offset += rows;
  showDataset().catch(complain);
}

at("older").addEventListener("click", () => leaf(-PAGE));
at("newer").addEventListener("click", () => leaf(PAGE));
// The address is the dataset's, so this link must not change it.
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); at("main").focus(); });
addEventListener("hashchange", () => {
  if (!shown.overview) return;
  if (addressed() === null) shown.dataset = null;
  select();
  showSources();
  showDataset().catch(complain);
});
at("process").addEventListener("click", async () => { await ask("process", { method: "POST" }); await refresh(); });
at("live").addEventListener("click", () => {
  const on = at("live").getAttribute("aria-pressed") !== "true";
  at("live").setAttribute("aria-pressed", String(on));
});

refresh();
setInterval(() => { if (at("live").getAttribute("aria-pressed") === "true" && !document.hidden) refresh(); }, 1000);
