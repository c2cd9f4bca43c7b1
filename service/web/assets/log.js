// The log's page: records that come are put on top of the list, none twice, none left out unsaid.

import { base64Of, entry } from "./log-view.js";
import { at, readJson, show } from "./shared.js";

const MOST = 200;  // entries that stay on the page
const DRAW = 100;  // milliseconds between two changes of the list
const LONGEST = 30;  // seconds between two attempts

const list = at("records");
const base = `log/streams/${list.dataset.stream}`;
const wanted = list.dataset.key && base64Of(list.dataset.key);
const waiting = [];
let next = Number(list.dataset.next);
let source = null;
let timer = 0;
let attempts = 0;
let left = 0;
let drawing = false;
let paused = false;

function tell(text, kind) {
  show("state", text);
  at("state").className = `state ${kind}`;
}

function skip(count, why) {
  left += count;
  at("skipped").hidden = false;
  show("skipped", `${left} record${left === 1 ? " is" : "s are"} left out here: ${why}.`);
}

function draw() {
  drawing = false;
  const entries = waiting.splice(0).map((each) => entry(each, base)).reverse();
  list.prepend(...entries);
  while (list.children.length > MOST) list.lastElementChild.remove();
  show("next", next);
  const count = list.children.length;
  const kind = list.dataset.key ? " with this key" : "";
  if (count) show("told", `${count} record${count === 1 ? "" : "s"}${kind}, the latest first; times are UTC.`);
}

function take(event) {
  const record = JSON.parse(event.data);
  next = record.offset + 1;
  if (!wanted || record.key === wanted) waiting.push(record);
  if (waiting.length > MOST) waiting.shift();  // it would be pushed off the page at once
  if (drawing) return;
  drawing = true;
  setTimeout(draw, DRAW);
}

/** Finds out where the stream goes on when it can't where we were. */
async function catchUp() {
  const { lowest, next: end } = await readJson(`${base}/offsets`);
  if (next < lowest) skip(lowest - next, "the log no longer keeps them");
  if (next > end) skip(0, "the log was begun anew");
  if (next < lowest || next > end) next = lowest;
}

/** The browser has given up: the service said no, or was not itself. */
async function again() {
  let asked = 0;
  try {
    await catchUp();
  } catch (error) {
    if (error.status === 401 || error.status === 403) return tell("You may no longer read this stream", "lost");
    asked = error.retryAfter ?? 0;
  }
  if (paused) return null;
  const seconds = Math.max(asked, Math.min(LONGEST, 2 ** attempts) * (0.75 + Math.random() / 2));
  attempts += 1;
  timer = setTimeout(follow, seconds * 1000);
  return null;
}

function lost() {
  tell("Connecting again", "busy");
  if (source.readyState === EventSource.CLOSED) again();
}

function follow() {
  source?.close();
  source = new EventSource(`${base}/records/follow?from=${next}`);
  source.addEventListener("open", () => { attempts = 0; tell("Following", "live"); });
  source.addEventListener("message", take);
  source.addEventListener("error", lost);
}

function pause() {
  paused = !paused;
  show("pause", paused ? "Resume" : "Pause");
  clearTimeout(timer);
  if (paused) {
    source.close();
    tell("Paused", "");
  } else {
    tell("Connecting", "busy");
    follow();
  }
}

if ("live" in list.dataset) {
  at("pause").hidden = false;
  at("pause").addEventListener("click", pause);
  tell("Connecting", "busy");
  follow();
}
// a second click would store a second record
const add = document.querySelector("form.add");
add?.addEventListener("submit", () => { add.querySelector("button").disabled = true; });
addEventListener("pageshow", () => { if (add) add.querySelector("button").disabled = false; });
// what was done is told once, not with every reload
const clean = new URL(location.href);
clean.searchParams.delete("done");
history.replaceState(null, "", clean);
document.documentElement.dataset.ready = "";
