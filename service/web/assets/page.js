// The front page: who answers, and how long `/` takes, looked up each second.

import { Chart } from "./chart.js";
import { Burst } from "./burst.js";
import { columnsOf, quantile, rangeName, sum } from "./histogram.js";
import { at, readJson, seconds, show } from "./shared.js";

const POLL = 1000;          // milliseconds between two looks
const BUSY = 5000;          // the same, while the service has no time for us
const FORGET = 60_000;      // milliseconds until a replica that no longer answers is left out
const OWN_WINDOW = 60_000;  // milliseconds of the last minute
const PERCENTS = [50, 90, 99];

const chart = new Chart(at("chart"));
const replicas = new Map();   // the last answer of each host: behind a load balancer they differ
const burst = new Burst(() => drawLatest());
let lostSince = null;
let introduced = false;
let timer = null;

async function introduce() {
  const who = await readJson("version");
  document.title = `${who.name} on ${who.host}`;
  for (const key of ["name", "version", "host", "python"]) show(key, who[key]);
  const [link, note] = at("metrics").children;
  if (who.admin_port) {
    link.href = `http://${location.hostname}:${who.admin_port}/metrics`;
    note.textContent = `on the admin port ${who.admin_port}, if open to you`;
  } else {
    note.textContent = "on the admin port, which can't be linked from here";
  }
}

// -- what is shown -----------------------------------------------------------

function known() {
  const all = [...replicas.values()].filter((each) => Date.now() - each.seen < FORGET);
  return all.filter((each) => String(each.bounds) === String(all.at(-1).bounds));
}

function drawLatest() {
  const answers = known();
  if (!answers.length) return;
  const span = new FormData(at("span")).get("span");
  const { bounds, scale } = answers.at(-1);
  const served = sum(answers.map((each) => each[span]));
  const since = span === "last_minute" ? performance.now() - OWN_WINDOW : 0;
  const own = burst.took(since);
  const data = { columns: columnsOf(bounds, served, own, scale), count: served.count, own: own.length };
  for (const percent of PERCENTS) data[`p${percent}`] = quantile(percent / 100, bounds, served);
  showFigures(data, answers, span);
  chart.draw(data);
  if (at("numbers").open) showTable(data);
}

function showFigures(data, answers, span) {
  const empty = data.count + data.own === 0;
  at("empty").hidden = !empty;
  show("empty", span === "last_minute" ? "No request in the last minute. Send some and watch them fall into place." : "No request so far. Send some and watch them fall into place.");
  show("count", data.count.toLocaleString("en"));
  show("own-count", data.own.toLocaleString("en"));
  const rate = answers.reduce((total, { last_minute: last }) => total + last.count / Math.max(last.seconds, 1), 0);
  show("rate", rate.toFixed(rate < 10 ? 1 : 0));
  for (const percent of PERCENTS) show(`p${percent}`, seconds(data[`p${percent}`]));
  const words = data.count
    ? `${data.count} requests: half within ${seconds(data.p50)}, 90 percent within ${seconds(data.p90)}, 99 percent within ${seconds(data.p99)}.`
    : "No request so far.";
  at("chart").setAttribute("aria-label", data.own ? `${words} ${data.own} of your own are drawn over them.` : words);
}

function showTable({ columns }) {
  at("rows").replaceChildren(...columns.map((column) => {
    const row = document.createElement("tr");
    for (const text of [rangeName(column), column.served, column.own]) row.insertCell().textContent = text;
    return row;
  }));
}

function showState(kind, text) {
  at("chart").classList.toggle("stale", kind === "lost");
  at("state").className = `state ${kind}`;
  show("state", text);
}

// -- looking -----------------------------------------------------------------

async function look() {
  timer = null;
  let wait = POLL;
  try {
    const latest = await readJson("latency", { signal: AbortSignal.timeout(5000) });
    replicas.delete(latest.host);   // the latest goes last
    replicas.set(latest.host, { ...latest, seen: Date.now() });
    if (!introduced) { await introduce(); introduced = true; }
    lostSince = null;
    const hosts = known().length;
    showState("live", hosts > 1 ? `live, ${hosts} replicas` : "live");
    drawLatest();
  } catch (error) {
    wait = await complain(error);
  }
  if (!document.hidden) timer = setTimeout(look, wait);
}

/** Says why there is nothing new; returns the milliseconds until it is worth to ask again. */
async function complain(error) {
  if (error.status === 429 || error.status === 503) {
    showState("busy", "the service is busy, asking again");
    return Math.max(BUSY, error.retryAfter * 1000);
  }
  if (error.status === 404) {
    if (!introduced) await introduce().then(() => { introduced = true; }, () => {});
    showState("busy", "this service does not tell its latency");
    show("empty", "This service does not tell its latency.");
    return BUSY;
  }
  introduced = false;  // what comes back may be another version
  lostSince ??= new Date().toLocaleTimeString();
  showState("lost", `no answer since ${lostSince}, trying again`);
  return POLL;
}

at("numbers").addEventListener("toggle", () => chart.data && showTable(chart.data));
at("span").addEventListener("change", drawLatest);
// nobody sees a hidden page: it asks nothing until it is shown again
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { clearTimeout(timer); timer = null; } else if (timer === null) look();
});
look();
