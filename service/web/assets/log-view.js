// A record as an entry of the list; the service writes those of the first page by the same rules.

const MOST_TEXT = 600;
const MOST_BYTES = 256;
// characters that show nothing, or turn around what stands beside them
const NOT_SHOWN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Returns the base64 of a text, as records have it. */
export function base64Of(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function textOf(bytes) {
  try {
    const text = UTF8.decode(bytes);
    return NOT_SHOWN.test(text) ? null : text;
  } catch {
    return null;
  }
}

/** Returns the elements that show bytes: as text, or in hexadecimal. */
function shown(base64) {
  const bytes = Uint8Array.from(atob(base64), (each) => each.charCodeAt(0));
  const text = textOf(bytes);
  const characters = text === null ? [] : Array.from(text);
  const cut = text === null ? bytes.length > MOST_BYTES : characters.length > MOST_TEXT;
  const hex = () => Array.from(bytes.subarray(0, MOST_BYTES), (each) => each.toString(16).padStart(2, "0")).join(" ");
  const main = element("span", text === null ? "binary" : "", text === null ? hex() : characters.slice(0, MOST_TEXT).join(""));
  main.dir = "auto";
  if (cut) return [main, element("span", "cut", `… of ${bytes.length} bytes`)];
  return bytes.length ? [main] : [main, element("span", "cut none", "empty")];
}

function about(record, base) {
  const link = element("a", "", element("span", "unseen", "Record "), String(record.offset));
  link.href = `${base}/records/${record.offset}`;
  const time = element("time", "", new Date(record.timestamp_ms).toISOString().slice(0, 23).replace("T", " "));
  const line = element("p", "about", link, " ", time);
  if (record.key !== undefined) line.append(" ", element("span", "key", element("span", "unseen", "key "), ...shown(record.key)));
  return line;
}

/** Returns the entry of `record`, of the stream whose path is `base`. */
export function entry(record, base) {
  const made = element("li", "new", about(record, base), element("p", "value", ...shown(record.value)));
  if (record.headers) {
    const headers = record.headers.map(({ name, value }) => {
      const title = element("dt", "", name);
      title.dir = "auto";
      return element("div", "", title, element("dd", "", ...shown(value)));
    });
    made.append(element("dl", "headers", ...headers));
  }
  return made;
}
