// The front page: who answers, the delays so far each second, and a burst of requests.

import { Chart, bucketName } from "./chart.js";

const AT_ONCE = 6;          // browsers open six connections to one host
const POLL = 1000;          // milliseconds between two looks
const FORGET = 60_000;      // milliseconds until a replica that no longer answers is left out
const PERCENTS = [50, 90, 99];

const at = (id) => document.getElementById(id);
const seconds = (value) => value === null ? "–" : `${value.toFixed(2)} s`;
const show = (id, text) => { if (at(id).textContent !== String(text)) at(id).textContent = text; };

async function readJson(path, options) {
  const answer = await fetch(path, { cache: "no-store", ...options, headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}

// -- who answers -------------------------------------------------------------

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

// -- the delays so far -------------------------------------------------------

const chart = new Chart(at("chart"));
const replicas = new Map();   // the last answer of each host: behind a load balancer they differ
let lostSince = null;
let introduced = false;

function merge(latest) {
  const now = Date.now();
  replicas.set(latest.host, { ...latest, seen: now });
  const known = [...replicas.values()].filter((each) =>
    now - each.seen < FORGET && String(each.bounds) === String(latest.bounds));
  if (known.length === 1) return { ...latest, hosts: 1 };
  const counts = latest.counts.map((_, i) => known.reduce((sum, each) => sum + each.counts[i], 0));
  const count = counts.reduce((sum, each) => sum + each, 0);
  const merged = { bounds: latest.bounds, counts, count, hosts: known.length };
  for (const percent of PERCENTS) merged[`p${percent}`] = quantile(merged, percent / 100);
  return merged;
}

function quantile({ bounds, counts, count }, share) {
  let left = share * count;
  if (!count) return null;
  for (const [i, bound] of bounds.entries()) {
    const low = i ? bounds[i - 1] : 0;
    if (left <= counts[i]) return low + (bound - low) * left / (counts[i] || 1);
    left -= counts[i];
  }
  return bounds.at(-1);
}

function showDelays(data) {
  at("empty").hidden = data.count > 0;
  show("count", data.count.toLocaleString("en"));
  for (const percent of PERCENTS) show(`p${percent}`, seconds(data[`p${percent}`]));
  chart.draw(data);
  const words = data.count
    ? `${data.count} requests: half within ${seconds(data.p50)}, 90 percent within ${seconds(data.p90)}, 99 percent within ${seconds(data.p99)}.`
    : "No request so far.";
  at("chart").setAttribute("aria-label", words);
  if (at("numbers").open) showTable(data);
}

function showTable({ bounds, counts }) {
  at("rows").replaceChildren(...counts.flatMap((count, i) => {
    if (i === bounds.length && !count) return [];
    const row = document.createElement("tr");
    row.insertCell().textContent = bucketName(bounds, i);
    row.insertCell().textContent = count;
    return [row];
  }));
}

function showState(hosts) {
  const lost = hosts === 0;
  at("chart").classList.toggle("stale", lost);
  at("state").className = `state ${lost ? "lost" : "live"}`;
  if (lost) {
    lostSince ??= new Date().toLocaleTimeString();
    show("state", `no answer since ${lostSince}, trying again`);
  } else {
    lostSince = null;
    show("state", hosts > 1 ? `live, ${hosts} replicas` : "live");
  }
}

async function look() {
  if (!document.hidden) {
    try {
      const data = merge(await readJson("latency", { signal: AbortSignal.timeout(5000) }));
      if (!introduced) { await introduce(); introduced = true; }
      showDelays(data);
      showState(data.hosts);
    } catch {
      introduced = false;  // what comes back may be another version
      showState(0);
    }
  }
  setTimeout(look, POLL);
}

// -- a burst of requests -----------------------------------------------------

let running = null;   // the AbortController of the burst, while there is one

async function burst(amount, signal) {
  const tally = { left: amount, flying: 0, answered: 0, failed: 0, waited: 0 };
  const tell = () => {
    for (const key of ["answered", "flying", "failed"]) show(key, tally[key]);
    show("mean", tally.answered ? seconds(tally.waited / tally.answered / 1000) : "–");
    at("progress").value = tally.answered + tally.failed;
  };
  const lane = async () => {
    while (tally.left > 0 && !signal.aborted) {
      tally.left -= 1;
      tally.flying += 1;
      tell();
      const begin = performance.now();
      try {
        await readJson(".", { signal });
        tally.answered += 1;
        tally.waited += performance.now() - begin;
      } catch {
        if (!signal.aborted) tally.failed += 1;
      }
      tally.flying -= 1;
      tell();
    }
  };
  at("progress").max = amount;
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return tally;
}

at("send").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (running) { running.abort(); return; }
  running = new AbortController();
  show("go", "Stop");
  show("outcome", "");
  const tally = await burst(at("amount").valueAsNumber, running.signal);
  const verb = running.signal.aborted ? "Stopped" : "Done";
  show("outcome", `${verb}: ${tally.answered} answered, ${tally.failed} failed.`);
  running = null;
  show("go", "Send");
});

at("numbers").addEventListener("toggle", () => chart.data && showTable(chart.data));
document.addEventListener("visibilitychange", () => { if (!document.hidden && lostSince) showState(0); });
look();
