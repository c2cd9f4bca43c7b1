// The list of the phone book: searched as somebody types, and longer page by page.

import { ask, documentOf, place } from "./phonebook-asking.js";
import { at, show } from "./shared.js";

const QUIET = 150;  // milliseconds without a key until a search

let stale = null;  // ends the search that another one has overtaken
let timer = null;

const said = (page) => page.getElementById("told")?.textContent.trim() ?? page.querySelector("#main p")?.textContent ?? "";

export function showState(text) {
  at("state").className = text ? "state busy" : "state";
  show("state", text);
}

export const whileAway = (seconds) => showState(seconds === null ? "" : "no answer, trying again");

export const here = () => {
  const q = at("q").value.trim();
  return place(q ? `phonebook?${new URLSearchParams({ q })}` : "phonebook");
};

export const rows = () => [...at("contacts").children];

export const nameOf = (row) => row.querySelector(".name").textContent;

/** Returns the page at `path`, or null when a later search has overtaken this one. */
async function read(path) {
  stale?.abort();
  const mine = stale = new AbortController();
  try {
    const page = await documentOf(await ask(path, { signal: mine.signal, onWait: whileAway }));
    return mine.signal.aborted ? null : page;
  } catch (error) {
    if (mine.signal.aborted) return null;
    throw error;
  }
}

/** Puts what the page's field asks for into the list and the address. */
export async function refresh() {
  clearTimeout(timer);
  const path = here();
  history.replaceState(null, "", path);
  document.title = at("q").value.trim() ? `${at("q").value.trim()} – Phone book` : "Phone book";
  at("contacts").setAttribute("aria-busy", "true");
  const page = await read(path);
  if (!page) return;
  at("contacts").replaceChildren(...(page.getElementById("contacts")?.children ?? []));
  at("further").replaceChildren(...(page.getElementById("further")?.children ?? []));
  at("contacts").removeAttribute("aria-busy");
  at("add").setAttribute("href", page.getElementById("add")?.getAttribute("href") ?? place("phonebook/new"));
  show("told", said(page));
}

async function more(link) {
  link.setAttribute("aria-disabled", "true");
  const page = await read(link.getAttribute("href"));
  if (!page) return;
  const added = [...(page.getElementById("contacts")?.children ?? [])];
  at("contacts").append(...added);
  at("further").replaceChildren(...[page.getElementById("more")].filter(Boolean));
  added[0]?.querySelector(".name").focus();
  show("told", `${added.length} more, ${rows().length} in all${at("more") ? ", and more" : ""}`);
}

/** Searches a moment after the last key; the list follows the field from then on. */
export function follow() {
  at("q").addEventListener("input", (event) => {
    clearTimeout(timer);
    if (!event.isComposing) timer = setTimeout(refresh, QUIET);
  });
  at("q").addEventListener("compositionend", () => { timer = setTimeout(refresh, QUIET); });
  at("search").addEventListener("submit", (event) => { event.preventDefault(); refresh(); });
  at("further").addEventListener("click", (event) => {
    const link = event.target.closest("#more");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (!link.hasAttribute("aria-disabled")) more(link);
  });
}
