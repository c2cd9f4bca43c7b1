// What the parts of the front page have in common.

export const at = (id) => document.getElementById(id);

export const seconds = (value) => value === null ? "–" : `${value.toFixed(2)} s`;

export const show = (id, text) => { if (at(id).textContent !== String(text)) at(id).textContent = text; };

/** Returns the JSON at `path`; an error has the status, and the seconds of `Retry-After`. */
export async function readJson(path, options) {
  const answer = await fetch(path, { cache: "no-store", ...options, headers: { accept: "application/json" } });
  if (answer.ok) return answer.json();
  const retryAfter = Number(answer.headers.get("retry-after")) || 0;
  throw Object.assign(new Error(`${answer.status}`), { status: answer.status, retryAfter });
}
