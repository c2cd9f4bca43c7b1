// The histogram: bars of what the service served, a line for the visitor's own requests,
// and lines at p50, p90 and p99. Areas are shares, so that the two can be compared.

import { rangeName } from "./histogram.js";
import { element } from "./drawing.js";

const TOP = 58;      // room for the three rows of labels
const BOTTOM = 26;   // room for the axis
const MARKS = ["p50", "p90", "p99"];
const TOPS = [1, 2, 5, 10, 15, 20, 30, 40, 50, 75, 100];   // percents that the axis may end at
const STEPS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60];   // seconds between two labels

function place(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
}

/** Draws `{columns, count, own, p50, p90, p99}` into an svg element, at its size. */
export class Chart {
  constructor(svg) {
    this.svg = svg;
    this.bars = [];
    this.scenery = element(svg, "g", {});
    this.columns = element(svg, "g", {});
    this.outline = element(svg, "path", { class: "own" });
    this.labels = element(svg, "g", {});   // over the bars, which would hide them
    this.marks = element(svg, "g", {});
    new ResizeObserver(() => this.data && this.draw(this.data)).observe(svg);
  }

  draw(data) {
    this.data = data;
    const { width, height } = this.svg.getBoundingClientRect();
    if (!width) return;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const floor = height - BOTTOM;
    const bounded = data.columns.filter((each) => each.high !== Infinity);
    const longest = bounded.at(-1).high;
    // what is above all has a column of its own, as wide as the most narrow one
    const unit = Math.min(...bounded.map((each) => each.high - each.low));
    const x = (seconds) => Math.min(seconds, longest + unit) / (longest + (bounded.length < data.columns.length ? unit : 0)) * width;
    const span = ({ low, high }) => high === Infinity ? unit : high - low;
    const density = (column, part, whole) => whole ? column[part] / whole * unit / span(column) * 100 : 0;
    const boxes = data.columns.map((column) => ({
      column,
      left: x(column.low),
      right: x(column.low + span(column)),
      served: density(column, "served", data.count),
      own: density(column, "own", data.own),
    }));
    const most = Math.max(...boxes.flatMap((box) => [box.served, box.own]));
    const top = TOPS.find((each) => each >= most) ?? 100;
    const y = (percent) => floor - percent / top * (floor - TOP);
    this.drawBars(boxes, y, floor);
    this.drawOwn(boxes, y);
    this.drawAxis(longest, x, y, width, floor, most ? top : 0);
    this.drawMarks(data, x, width, floor);
  }

  drawBars(boxes, y, floor) {
    while (this.bars.length < boxes.length) {
      const bar = element(this.columns, "rect", { class: "bar", y: floor, height: 0, rx: 2 });
      element(bar, "title", {});
      this.bars.push(bar);
    }
    while (this.bars.length > boxes.length) this.bars.pop().remove();
    boxes.forEach(({ column, left, right, served }, i) => {
      const gap = Math.min(3, (right - left) / 5);
      place(this.bars[i], { x: left + gap / 2, width: Math.max(1, right - left - gap), y: y(served), height: floor - y(served) });
      this.bars[i].classList.toggle("rest", column.high === Infinity);
      this.bars[i].firstChild.textContent = `${rangeName(column)} s: ${column.served} served, ${column.own} measured here`;
    });
  }

  drawOwn(boxes, y) {
    let inside = false;
    const steps = boxes.flatMap(({ left, right, own }) => {
      const begin = inside ? "L" : `M${left} ${y(0)}L`;
      const end = inside ? `L${left} ${y(0)}` : "";
      inside = own > 0;
      return own ? [`${begin}${left} ${y(own)}L${right} ${y(own)}`] : [end];
    });
    if (inside) steps.push(`L${boxes.at(-1).right} ${y(0)}`);
    this.outline.setAttribute("d", steps.join(""));
  }

  drawAxis(longest, x, y, width, floor, top) {
    this.scenery.replaceChildren();
    this.labels.replaceChildren();
    for (const percent of top ? [top, top / 2] : []) {
      const at = Math.round(y(percent)) + 0.5;
      element(this.scenery, "line", { class: "axis", x1: 0, x2: width, y1: at, y2: at });
      element(this.labels, "text", { x: 0, y: at - 4 }, `${percent} %`);
    }
    element(this.scenery, "line", { class: "floor", x1: 0, x2: width, y1: floor + 0.5, y2: floor + 0.5 });
    const step = STEPS.find((each) => each >= longest / 5) ?? longest;
    for (let i = 0; i * step <= longest * (1 + 1e-9); i += 1) {
      const at = x(i * step);
      const anchor = i === 0 ? "start" : at > width - 20 ? "end" : "middle";
      element(this.labels, "text", { x: at, y: floor + 19, "text-anchor": anchor }, `${+(i * step).toPrecision(3)} s`);
    }
  }

  drawMarks(data, x, width, floor) {
    this.marks.replaceChildren();
    const found = MARKS.filter((name) => data[name] !== null);
    const rows = found.map((name, row) => ({ name, at: Math.min(x(data[name]), width - 1), y: 14 + row * 16 }));
    for (const { name, at, y } of rows) {
      element(this.marks, "line", { class: `mark ${name}`, x1: at, x2: at, y1: y - 11, y2: floor });
    }
    for (const { name, at, y } of rows) {  // after the lines, so that none crosses a label
      const right = at > width - 90;
      element(this.marks, "text", { class: `label ${name}`, x: at + (right ? -6 : 6), y, "text-anchor": right ? "end" : "start" },
        `${name} ${data[name].toFixed(2)} s`);
    }
  }
}
