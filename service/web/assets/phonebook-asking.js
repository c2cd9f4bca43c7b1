// What the phone book's page asks the service with.

export { ask, detailOf, documentOf } from "./asking.js";

/** Returns the address of a path of the service, wherever a proxy has put its root. */
export const place = (path) => new URL(path, document.getElementById("search").action).href;

/** Returns a key that no other request has; `crypto.randomUUID` wants HTTPS. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((each) => each.toString(36)).join("-");
}
