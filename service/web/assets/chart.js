// The histogram: bars by length of the delay, and lines at p50, p90 and p99.

const SVG = "http://www.w3.org/2000/svg";
const TOP = 58;      // room for the three rows of labels
const BOTTOM = 26;   // room for the axis
const MARKS = ["p50", "p90", "p99"];

function element(parent, name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function place(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
}

/** Draws `{bounds, counts, p50, p90, p99}` into an svg element, at its size. */
export class Chart {
  constructor(svg) {
    this.svg = svg;
    this.bars = [];
    this.scenery = element(svg, "g", {});
    this.columns = element(svg, "g", {});
    this.marks = element(svg, "g", {});
    new ResizeObserver(() => this.data && this.draw(this.data)).observe(svg);
  }

  draw(data) {
    this.data = data;
    const { width, height } = this.svg.getBoundingClientRect();
    if (!width) return;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const longest = data.bounds.at(-1);
    const over = data.counts.at(-1) > 0;  // a bar of its own for what is longer
    const columns = data.bounds.length + (over ? 1 : 0);
    const step = width / columns;
    const floor = height - BOTTOM;
    const x = (seconds) => Math.min(seconds / longest * step * data.bounds.length, width - 1);
    this.drawBars(data.counts.slice(0, columns), step, floor);
    this.drawAxis(longest, x, width, floor, Math.max(...data.counts.slice(0, columns)));
    this.drawMarks(data, x, width, floor);
  }

  drawBars(counts, step, floor) {
    const most = Math.max(1, ...counts);
    while (this.bars.length < counts.length) {
      const bar = element(this.columns, "rect", { class: "bar", y: floor, height: 0, rx: 2 });
      element(bar, "title", {});
      this.bars.push(bar);
    }
    while (this.bars.length > counts.length) this.bars.pop().remove();
    const bounds = this.data.bounds;
    counts.forEach((count, i) => {
      const tall = count / most * (floor - TOP);
      const gap = Math.min(3, step / 5);
      const rest = i === bounds.length;
      place(this.bars[i], { x: i * step + gap / 2, width: Math.max(1, step - gap), y: floor - tall, height: tall });
      this.bars[i].classList.toggle("rest", rest);
      this.bars[i].firstChild.textContent = `${bucketName(bounds, i)} s: ${count}`;
    });
  }

  drawAxis(longest, x, width, floor, most) {
    this.scenery.replaceChildren();
    for (const count of new Set([most, Math.round(most / 2)])) {
      if (!count) continue;
      const y = Math.round(floor - count / most * (floor - TOP)) + 0.5;
      element(this.scenery, "line", { class: "axis", x1: 0, x2: width, y1: y, y2: y });
      element(this.scenery, "text", { x: 0, y: y - 4 }, count);
    }
    element(this.scenery, "line", { class: "floor", x1: 0, x2: width, y1: floor + 0.5, y2: floor + 0.5 });
    for (let i = 0; i <= 4; i += 1) {
      const seconds = longest * i / 4;
      const anchor = i === 0 ? "start" : i === 4 ? "end" : "middle";
      element(this.scenery, "text", { x: x(seconds), y: floor + 19, "text-anchor": anchor }, `${+seconds.toFixed(2)} s`);
    }
  }

  drawMarks(data, x, width, floor) {
    this.marks.replaceChildren();
    const found = MARKS.filter((name) => data[name] !== null);
    const rows = found.map((name, row) => ({ name, at: x(data[name]), y: 14 + row * 16 }));
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

/** The range of bucket *i* in words, without its unit. */
export function bucketName(bounds, i) {
  if (i === bounds.length) return `above ${bounds.at(-1)}`;
  return `${i ? bounds[i - 1] : 0} to ${bounds[i]}`;
}
