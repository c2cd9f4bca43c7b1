// The picture of a tree of calls: a row for each, its place in the tree on the left, its
// time on the right; on narrow screens one above the other.

import { element } from "./drawing.js";

const STEPS = [1, 2, 2.5, 5, 10];   // what a step of the axis may be, times a power of ten
const TIME = 64;      // room for the duration at the right
const AXIS = 22;      // height of the axis

/** Shortens a text until it is no wider than `most`; the whole is told on hover. */
function fit(node, most) {
  const whole = node.textContent;
  if (node.getComputedTextLength() <= most) return;
  element(node, "title", {}, whole);
  let kept = whole.length;
  while (kept > 1 && node.getComputedTextLength() > most) {
    kept -= 1;
    node.firstChild.textContent = `${whole.slice(0, kept).trimEnd()}…`;
  }
}

function layout(svg) {
  const width = Math.max(240, svg.parentElement.clientWidth);
  const wide = width >= 640;
  return {
    width, wide,
    row: wide ? 34 : 50,
    left: wide ? Math.min(380, width * 0.42) : 0,     // where the time begins
    right: wide ? width - TIME : width,               // where it ends
    labels: wide ? Math.min(380, width * 0.42) - 16 : width - TIME,
    indent: wide ? 20 : 14,
  };
}

function drawBranch(svg, call, at, y) {
  if (!call.parent) return;
  const parentX = call.parent.depth * at.indent + 5;
  const parentY = AXIS + call.parent.row * at.row + 22;
  element(svg, "path", { class: "branch", d: `M${parentX} ${parentY}V${y - 4}H${call.depth * at.indent - 3}` });
}

/** Returns where the bar of a call begins and ends. */
function extent(call, at, longest) {
  const span = at.right - at.left;
  const x = Math.min(at.left + call.start / longest * span, at.right - 3);
  const width = call.kind === "skipped" ? 14 : Math.max(3, call.duration / longest * span);
  return [x, Math.min(x + width, at.right)];
}

/** Writes what went wrong beside the bar, where the label has no room for it. */
function drawProblem(svg, call, at, y, longest) {
  const [left, right] = extent(call, at, longest);
  const text = element(svg, "text", { y: y + 18, class: call.kind }, call.problem);
  const length = text.getComputedTextLength();
  const after = right + 6 + length <= at.width;
  text.setAttribute("x", after ? right + 6 : Math.max(0, left - 6 - length));
}

function drawLabel(svg, call, at, y) {
  const x = call.depth * at.indent;
  const text = element(svg, "text", { x, y, class: call.kind }, `${call.kind === "failed" ? "✕ " : ""}${call.name}`);
  if (call.kind === "answered") text.classList.add("name");
  const more = at.wide && call.problem || (call.host === call.name ? "" : call.host);
  fit(text, at.labels - x - (more ? 40 : 0));
  const used = x + text.getComputedTextLength() + 8;
  if (more && at.labels - used > 24) {
    const kind = call.problem ? call.kind : "soft";
    fit(element(svg, "text", { x: used, y, class: kind }, more), at.labels - used);
  }
}

function drawBar(svg, call, at, y, longest) {
  const [x, end] = extent(call, at, longest);
  const top = at.wide ? y - 13 : y + 8;
  const bar = element(svg, "rect", { class: `call ${call.kind}`, x, y: top, width: end - x, height: at.wide ? 16 : 12, rx: 2 });
  element(bar, "title", {}, `${call.url || call.name}: ${call.problem || "answered"} ${call.took}`);
  element(svg, "text", { x: at.width, y, "text-anchor": "end", class: call.kind }, call.took);
}

function drawAxis(svg, at, longest, height) {
  const most = at.wide ? 5 : 3;
  const power = 10 ** Math.floor(Math.log10(longest / most));
  const step = power * STEPS.find((each) => longest / (each * power) <= most);
  for (let tick = 0; tick <= longest; tick += step) {
    const x = at.left + tick / longest * (at.right - at.left);
    element(svg, "line", { class: "axis", x1: x, x2: x, y1: AXIS - 4, y2: height });
    const anchor = tick === 0 ? "start" : x > at.width - 20 ? "end" : "middle";
    element(svg, "text", { class: "axis", x, y: 12, "text-anchor": anchor }, tick ? `${Number((tick * 1000).toPrecision(3))} ms` : "0");
  }
}

/** Draws calls, as a flat list with their depths, into an svg element, at its width. */
export function draw(svg, calls) {
  const at = layout(svg);
  const height = AXIS + calls.length * at.row + 4;
  const longest = Math.max(0.001, ...calls.map((call) => call.start + call.duration));
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${at.width} ${height}`);
  svg.setAttribute("height", height);
  drawAxis(svg, at, longest, height);
  const line = (call) => AXIS + call.row * at.row + 18;
  for (const call of calls) drawBranch(svg, call, at, line(call));
  for (const call of calls) {
    const y = line(call);
    drawBar(svg, call, at, y, longest);
    drawLabel(svg, call, at, y);
    if (call.problem && !at.wide) drawProblem(svg, call, at, y, longest);
  }
}
