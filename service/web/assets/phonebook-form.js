// The forms of the phone book in a dialog: those of the pages that work without a script.

import { ask, documentOf } from "./phonebook-asking.js";
import { refresh, rows, whileAway } from "./phonebook-list.js";
import { at, show } from "./shared.js";

let stop = null;     // ends what the dialog waits for
let before = "";     // what was in the form when it came
let opener = null;   // where the focus goes when nothing was saved

const typed = (form) => form ? new URLSearchParams(new FormData(form)).toString() : "";
const form = () => at("dialog").querySelector("form");

/** Puts the form of a page into the dialog, and the focus where something is to be done. */
function put(page) {
  const found = page.getElementById("form") ?? page.querySelector("#main > section");
  at("dialog").replaceChildren(found);
  before = typed(form());
  if (!at("dialog").open) at("dialog").showModal();
  const inside = (selector) => at("dialog").querySelector(selector);
  const first = inside("[aria-invalid]") ?? inside("input:not([type=hidden])") ?? inside("a");
  (first ?? at("dialog")).focus();
}

const waiting = (seconds) => {
  const place = at("dialog").querySelector(".waiting");
  if (place && at("dialog").open) place.textContent = seconds === null ? "" : "No answer yet. Trying again; nothing is lost.";
  else whileAway(seconds);
};

async function asked(path, options) {
  stop?.abort();
  const mine = stop = new AbortController();
  try {
    return await ask(path, { signal: mine.signal, onWait: waiting, ...options });
  } catch (error) {
    if (mine.signal.aborted) return null;
    throw error;
  }
}

/** Opens the form of the page at `path`; `values` are put into its fields. */
export async function open(path, values = {}) {
  opener = document.activeElement;
  const answer = await asked(path);
  if (!answer) return;
  put(await documentOf(answer));
  for (const [name, value] of Object.entries(values)) {
    const field = form()?.elements.namedItem(name);
    if (field && value !== null) field.value = value;
  }
}

async function send(event) {
  event.preventDefault();
  const sent = event.target;
  const body = new URLSearchParams(new FormData(sent));
  for (const button of sent.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
  const answer = await asked(sent.action, { method: "POST", body });
  if (!answer) return;
  const page = await documentOf(answer);
  if (answer.redirected && answer.ok) await done(page);
  else if (answer.status === 412 && answer.repeated && isThere(page)) await done(page);
  else put(page);
}

/** Whether what the service has now is what was sent: an attempt without an answer had done it. */
const isThere = (page) => !page.querySelector(".now");

/** Shows what was saved, where it is in the list, and at its top where it is not. */
async function done(page) {
  const saved = page.querySelector("#done li");
  const told = page.querySelector("#done p")?.textContent ?? "Saved.";
  before = typed(form());
  opener = null;  // the focus goes to what was saved
  at("dialog").close();
  if (!saved) await refresh();
  else focusOn(await placed(saved));
  show("told", saved ? `${told} ${saved.querySelector(".name").textContent}` : told);
}

async function placed(saved) {
  const same = () => rows().find((row) => row.dataset.id === saved.dataset.id);
  if (!same()) await refresh();
  const old = same();
  if (old) old.replaceWith(saved);
  else at("contacts").prepend(saved);
  return saved;
}

export const focusOn = (row) => row.querySelector(".name").focus();

/** Opens the links that lead to a form in the dialog. */
export function openInDialog() {
  const dialog = at("dialog");
  dialog.addEventListener("submit", send);
  dialog.addEventListener("cancel", (event) => {
    if (typed(form()) !== before && !confirm("Throw away what you have entered?")) event.preventDefault();
  });
  dialog.addEventListener("close", () => {
    stop?.abort();
    dialog.replaceChildren();
    if (opener) (opener.isConnected ? opener : at("q")).focus();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (link.matches("[data-close]")) {
      event.preventDefault();
      dialog.close();
    } else if (link.matches("#add, #contacts .name, #done .name, dialog [data-form], dialog .told a[dir]")) {
      event.preventDefault();
      open(link.href);
    } else if (link.matches("dialog a[href^='#']")) {
      event.preventDefault();
      at(link.hash.slice(1)).focus();
    }
  });
}

