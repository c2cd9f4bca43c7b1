// The page of the fan-out: calls it, and shows the tree of calls as a picture and a list.

import { draw } from "./call-tree.js";
import { at, show } from "./shared.js";

const WORDS = {
  backends: "nothing came of its calls",
  circuit_open: "left alone: it kept failing",
  connect: "no connection",
  full: "too many calls under way",
  hops: "not called: the tree is deep enough",
  no_endpoints: "no instance is there",
  timeout: "no answer in time",
  unknown_service: "nobody knows it",
};

let latest = null;

const time = (seconds) => seconds === undefined ? "" : seconds < 1 ? `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms` : `${seconds.toFixed(2)} s`;

/** Returns the calls as a flat list, parents first, each with its depth and its place in time. */
function flattened(node, depth = 0, start = 0, parent = null, found = []) {
  const duration = node.duration ?? 0;
  const own = node.own_duration ?? duration;
  const skipped = node.error === "hops";
  const problem = node.error && (node.error === "status" ? `answered ${node.status}` : WORDS[node.error] ?? node.error.replaceAll("_", " "));
  const call = {
    depth, start, duration, parent, row: found.length,
    name: node.name ?? (node.url ?? "?").replace(/^\w+:\/\//, "").replace(/\/fan-out$/, ""),
    host: node.host ?? "", url: node.url ?? "", version: node.version ?? "",
    kind: skipped ? "skipped" : node.error ? "failed" : "answered",
    problem: problem ?? "", took: skipped ? "" : time(duration),
  };
  found.push(call);
  // what was not its own time was on the way, half before and half after
  const inside = start + Math.max(0, duration - own) / 2;
  for (const child of node.children ?? []) flattened(child, depth + 1, inside + (child.start ?? 0), call, found);
  return found;
}

function told(call) {
  const who = [call.name, call.host && `on ${call.host}`, call.version && `version ${call.version}`].filter(Boolean).join(", ");
  return `${call.kind === "failed" ? "✕ " : ""}${who}: ${[call.problem, call.took].filter(Boolean).join(", ") || "answered"}`;
}

function showList(calls) {
  const lists = [];
  at("list").replaceChildren();
  for (const call of calls) {
    const item = document.createElement("li");
    const text = document.createElement("p");
    const below = document.createElement("ul");
    text.textContent = told(call);
    text.className = call.kind;
    item.append(text, below);
    (call.depth ? lists[call.depth - 1] : at("list")).append(item);
    lists[call.depth] = below;
  }
  for (const empty of at("list").querySelectorAll("ul:empty")) empty.remove();
}

function showTree(root) {
  const calls = flattened(root);
  const below = calls.slice(1);
  const failed = below.filter((call) => call.kind === "failed");
  show("calls", below.filter((call) => call.kind !== "skipped").length);
  show("failed", failed.length);
  show("levels", Math.max(...calls.map((call) => call.depth)));
  show("whole", time(root.duration));
  show("host", root.host);
  document.title = `Fan-out of ${root.name}`;
  const problems = failed.map((call) => `${call.name}: ${call.problem}`).join("; ");
  at("tree").setAttribute("aria-label", below.length
    ? `Tree of ${below.length} calls in ${time(root.duration)}; ${failed.length} failed${problems && `: ${problems}`}. The list below has all.`
    : "This service calls nobody.");
  showList(calls);
  draw(at("tree"), calls);
  const nobody = below.length ? "" : "no backend is set (fan_out.backends)";
  const state = failed.length ? `${failed.length} of ${below.length} calls failed` : nobody || "all answered";
  showState(state, failed.length ? "lost" : "live");
}

function showState(text, kind) {
  at("state").className = `state ${kind}`;
  show("state", text);
}

async function call() {
  at("again").disabled = true;
  showState("calling…", "busy");
  try {
    const answer = await fetch("fan-out", { cache: "no-store", headers: { accept: "application/json" } });
    const root = await answer.json();
    // 502 has the tree too; what has none is a problem document
    if (!Array.isArray(root.children)) throw new Error(root.detail ?? answer.status);
    latest = root;
    showTree(root);
  } catch (error) {
    showState(`no tree: ${error.message}`, "lost");
  }
  at("again").disabled = false;
}

at("again").addEventListener("click", call);
new ResizeObserver(() => latest && draw(at("tree"), flattened(latest))).observe(at("tree").parentElement);
call();
