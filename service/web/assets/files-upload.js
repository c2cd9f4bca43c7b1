// One file on its way to the service, in pieces, by the IETF's draft of resumable uploads
// (draft-ietf-httpbis-resumable-upload): what is cut goes on where it stopped.

import { ask, detailOf } from "./asking.js";

const LEAST = 256 * 1024;
const MOST = 16 * 1024 * 1024;
const QUICK = 1000;  // milliseconds below which the next piece may be larger
const FAILURES = 6;  // in a row, after which somebody has to say "Resume"

const passes = (status) => status === 0 || status === 429 || status >= 500 && status !== 507;

/** Where the uploads of the service wait, wherever a proxy has put its root. */
const waiting = (location) => new URL(`.uploads/${location.split("/").pop()}`, document.querySelector("#main .crumbs a")?.href ?? new URL("./", document.baseURI)).href;

/** Sends `body` to `url`; resolves to its status and head, 0 when nobody answered. */
function send(url, body, headers, signal, onProgress) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    const end = () => {
      signal.removeEventListener("abort", stop);
      resolve({ status: request.status, statusText: request.statusText, json: async () => JSON.parse(request.responseText) });
    };
    request.open("PATCH", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => onProgress(event.loaded));
    request.addEventListener("loadend", end);
    signal.addEventListener("abort", stop);
    request.send(body);
  });
}

/** What a refusal is told as; `status` is that of the answer. */
export class Refused extends Error {
  constructor(status, text) { super(text); this.status = status; }
}

export class Upload {
  constructor(file, directory, onProgress) {
    Object.assign(this, { file, directory, onProgress });
    this.key = `files-upload:${directory}:${file.name}:${file.size}:${file.lastModified}`;
    this.url = localStorage.getItem(this.key);
    this.offset = 0;
    this.size = LEAST;
  }

  /** Sends all that the service does not have; throws `Refused`, or when it was stopped. */
  async run({ replace = false } = {}) {
    this.stopping = new AbortController();
    const { signal } = this.stopping;
    let failures = 0;
    let complete = this.url ? await this.look() : false;
    if (!this.url) await this.begin(replace);
    while (!complete) {
      const { status, answer } = await this.append();
      signal.throwIfAborted();
      if (status >= 200 && status < 300) {
        failures = 0;
        complete = this.offset >= this.file.size;
      } else if (status === 409 || passes(status)) {
        failures += 1;
        if (failures >= FAILURES) throw new Refused(0, "The service does not answer. What it has is kept.");
        this.size = Math.max(LEAST, this.size / 2);
        await new Promise((resolve) => setTimeout(resolve, status === 409 ? 0 : Math.min(2 ** failures * 250, 8000)));
        const before = this.offset;
        complete = await this.look();
        if (this.offset > before) failures = 0;
        if (!this.url) await this.begin(replace);
      } else {
        this.forget();
        throw new Refused(status, await detailOf(answer));
      }
    }
    this.forget();
  }

  /** Stops; `look` and `run` go on later. */
  stop() { this.stopping?.abort(new DOMException("stopped", "AbortError")); }

  /** Gives it up: the service throws away what it has. */
  async cancel() {
    this.stop();
    const { url } = this;
    this.forget();
    if (url) await fetch(url, { method: "DELETE" }).catch(() => {});
  }

  forget() {
    localStorage.removeItem(this.key);
    this.url = null;
    this.offset = 0;
  }

  async begin(replace) {
    const place = replace ? `./${encodeURIComponent(this.file.name)}` : `./?name=${encodeURIComponent(this.file.name)}`;
    const headers = { "upload-complete": "?0", "upload-length": String(this.file.size) };
    const answer = await ask(new URL(place, document.baseURI), { method: replace ? "PUT" : "POST", headers, signal: this.stopping.signal });
    if (answer.status !== 201) throw new Refused(answer.status, await detailOf(answer));
    this.url = waiting(answer.headers.get("location"));
    this.offset = 0;
    localStorage.setItem(this.key, this.url);
  }

  /** Learns how much the service has; whether that is all. */
  async look() {
    const answer = await ask(this.url, { method: "HEAD", signal: this.stopping.signal });
    if (answer.status === 404) {
      this.forget();
      return false;
    }
    if (!answer.ok) throw new Refused(answer.status, answer.statusText);
    this.offset = Number(answer.headers.get("upload-offset"));
    this.onProgress(this.offset);
    return answer.headers.get("upload-complete") === "?1";
  }

  async append() {
    const from = this.offset;
    const piece = this.file.slice(from, from + this.size);
    const last = from + piece.size >= this.file.size;
    const headers = { "content-type": "application/partial-upload", "upload-offset": String(from), "upload-complete": last ? "?1" : "?0" };
    const began = performance.now();
    try {
      Object.assign(headers, await digestOf(piece));
    } catch {
      throw new Refused(0, "The file can't be read any more.");
    }
    const answer = await send(this.url, piece, headers, this.stopping.signal, (sent) => this.onProgress(from + sent));
    if (answer.status >= 200 && answer.status < 300) {
      this.offset = from + piece.size;
      if (performance.now() - began < QUICK) this.size = Math.min(this.size * 2, MOST);
    }
    return { status: answer.status, answer };
  }
}

/** Returns the header that the service verifies a piece by; browsers compute it over HTTPS alone. */
async function digestOf(piece) {
  const bytes = await piece.arrayBuffer();
  if (!crypto.subtle) return {};
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return { "content-digest": `sha-256=:${btoa(String.fromCharCode(...digest))}:` };
}
