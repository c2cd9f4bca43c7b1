// The uploads of the page: chosen or dropped, a line with its progress and buttons each.

import { refresh } from "./files-list.js";
import { Upload } from "./files-upload.js";
import { at, show } from "./shared.js";

const AT_ONCE = 2;
const waiting = [];
const running = new Set();

const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];

function sizeOf(bytes) {
  if (bytes === 1) return "1 byte";
  const step = Math.min(bytes ? Math.floor(Math.log2(bytes) / 10) : 0, units.length - 1);
  return `${(bytes / 1024 ** step).toFixed(step ? 1 : 0)} ${units[step]}`;
}

const make = (name, values = {}) => Object.assign(document.createElement(name), values);

/** A line for a file: what is going on, and what can be done about it. */
class Line {
  constructor(file) {
    this.file = file;
    this.row = make("li");
    this.text = make("span", { className: "so-far", textContent: "waiting" });
    this.bar = make("progress", { max: file.size || 1, value: 0, ariaLabel: `Progress of ${file.name}` });
    this.choices = make("span", { className: "choices" });
    this.row.append(make("bdi", { className: "file", textContent: file.name }), this.bar, this.text, this.choices);
    at("uploads").append(this.row);
    this.upload = new Upload(file, new URL("./", document.baseURI).pathname, (sent) => this.progress(sent));
    this.offer({ Cancel: () => this.cancel() });
  }

  progress(sent) {
    this.bar.value = this.file.size ? sent : 1;
    this.text.textContent = `${sizeOf(sent)} of ${sizeOf(this.file.size)}`;
  }

  /** Shows buttons; the focus stays with them when it was there. */
  offer(choices) {
    const hadFocus = this.choices.contains(document.activeElement);
    this.choices.replaceChildren(...Object.entries(choices).map(([name, act]) => {
      const button = make("button", { type: "button", className: "quiet", textContent: name, ariaLabel: `${name} ${this.file.name}` });
      button.addEventListener("click", act);
      return button;
    }));
    if (hadFocus) this.choices.querySelector("button")?.focus();
  }

  tell(text, { failed = false } = {}) {
    this.text.textContent = text;
    this.text.classList.toggle("failed", failed);
    show("announced", `${this.file.name}: ${text}`);
  }

  start(options = {}) {
    this.options = options;
    this.text.classList.remove("failed");
    this.text.textContent = "waiting";
    this.offer({ Cancel: () => this.cancel() });
    waiting.push(this);
    next();
  }

  async run() {
    this.offer({ Pause: () => this.upload.stop(), Cancel: () => this.cancel() });
    try {
      await this.upload.run(this.options);
      this.progress(this.file.size);
      this.tell("uploaded");
      this.offer({ Dismiss: () => this.dismiss() });
      return true;
    } catch (error) {
      this.failed(error);
      return false;
    }
  }

  failed(error) {
    if (this.isCancelled) return;
    const again = { Resume: () => this.start(this.options), Cancel: () => this.cancel() };
    if (error.name === "AbortError") {
      this.tell("paused");
      this.offer(again);
    } else if (error.status === 409 || error.status === 412) {
      this.tell("A file of this name is there already.", { failed: true });
      this.offer({ Replace: () => this.start({ replace: true }), Dismiss: () => this.dismiss() });
    } else {
      this.tell(error.message, { failed: true });
      this.offer(error.status ? { Dismiss: () => this.dismiss() } : again);
    }
  }

  async cancel() {
    this.isCancelled = true;
    if (waiting.includes(this)) waiting.splice(waiting.indexOf(this), 1);
    show("announced", `${this.file.name}: cancelled`);
    this.dismiss();
    await this.upload.cancel();
  }

  dismiss() {
    const hadFocus = this.row.contains(document.activeElement);
    this.row.remove();
    if (hadFocus) at("file").focus();
  }
}

async function next() {
  while (running.size < AT_ONCE && waiting.length) {
    const line = waiting.shift();
    running.add(line);
    line.run().then(async (isThere) => {
      running.delete(line);
      next();
      if (isThere) await refresh();
    });
  }
}

/** Begins to upload; directories and what is no file are left out. */
function take(files) {
  for (const file of files) new Line(file).start();
}

function dropped(event) {
  event.preventDefault();
  document.documentElement.classList.remove("dropping");
  const items = [...event.dataTransfer.items].filter((each) => each.kind === "file");
  const folders = items.filter((each) => each.webkitGetAsEntry?.()?.isDirectory);
  take(items.filter((each) => !folders.includes(each)).map((each) => each.getAsFile()).filter(Boolean));
  if (folders.length) show("told", "Directories can't be dropped: open them and choose their files, or use httpserver files put -r.");
}

/** Takes files from the form and from the desktop. */
export function uploadFiles() {
  at("upload").addEventListener("submit", (event) => {
    event.preventDefault();
    take(at("file").files);
    at("upload").reset();
  });
  const holdsFiles = (event) => [...event.dataTransfer?.types ?? []].includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    document.documentElement.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.documentElement.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => { if (holdsFiles(event)) dropped(event); });
  addEventListener("beforeunload", (event) => { if (running.size) event.preventDefault(); });
}
