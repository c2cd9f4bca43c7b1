// How the pages ask the service: again and again while it is away.

const AGAIN = new Set([429, 502, 503, 504]);
const LONGEST = 30;  // seconds between two attempts

/** Waits, or less when the network comes back; throws when `signal` says stop. */
function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const end = (settle, value) => {
      clearTimeout(timer);
      removeEventListener("online", go);
      signal?.removeEventListener("abort", stop);
      settle(value);
    };
    const go = () => end(resolve);
    const stop = () => end(reject, signal.reason);
    const timer = setTimeout(go, seconds * 1000);
    addEventListener("online", go);
    signal?.addEventListener("abort", stop);
  });
}

/**
 * Returns the answer, whatever it says, as soon as there is one.
 *
 * `onWait` is told the seconds until the next attempt, and null once there is an answer.
 * `repeated` of the answer tells that an earlier attempt may have done the work.
 */
export async function ask(path, { onWait = () => {}, ...options } = {}) {
  const { signal } = options;
  for (let attempt = 0; ; attempt += 1) {
    signal?.throwIfAborted();
    let asked = 0;
    try {
      const answer = await fetch(path, { cache: "no-store", ...options });
      if (!AGAIN.has(answer.status)) {
        onWait(null);
        return Object.assign(answer, { repeated: attempt > 0 });
      }
      asked = Number(answer.headers.get("retry-after")) || 0;
    } catch (error) {
      if (signal?.aborted) throw error;
    }
    const own = Math.min(LONGEST, 2 ** attempt) * (0.75 + Math.random() / 2);
    const seconds = Math.max(asked, own);
    onWait(seconds);
    await pause(seconds, signal);
  }
}

/** Returns the page of an answer as a document: nothing in it runs, its links are whole. */
export async function documentOf(answer) {
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const name of ["href", "action"]) {
    for (const each of page.querySelectorAll(`[${name}]:not([${name}^="#"])`)) {
      each.setAttribute(name, new URL(each.getAttribute(name), answer.url));
    }
  }
  return page;
}

/** Returns the sentence of a problem document. */
export async function detailOf(answer) {
  try {
    return (await answer.json()).detail ?? answer.statusText;
  } catch {
    return answer.statusText;
  }
}
