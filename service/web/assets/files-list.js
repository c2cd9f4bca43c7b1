// The list of a directory, read again after a change, and deleting in a dialog.

import { ask, documentOf } from "./asking.js";
import { at, show } from "./shared.js";

export const rows = () => [...document.querySelectorAll("#entries > li")];

export const focusOn = (row) => row.querySelector(".name").focus();

export const whileAway = (seconds) => show("state", seconds === null ? "" : "no answer, trying again");

/** Shows what is in the directory now; `told` is what has happened. */
export async function refresh(told = "") {
  const answer = await ask(location.href, { headers: { accept: "text/html" }, onWait: whileAway });
  const page = await documentOf(answer);
  if (!page.getElementById("entries")) {  // it was empty, and is gone
    at("entries").replaceChildren();
    show("told", told || "Nothing is here any more.");
    return;
  }
  for (const id of ["entries", "further"]) at(id).replaceChildren(...page.getElementById(id).childNodes);
  show("told", [told, page.getElementById("told").textContent.trim()].filter(Boolean).join(" "));
}

let opener = null;  // the row that is asked about

function put(page) {
  at("dialog").replaceChildren(page.getElementById("form"));
  if (!at("dialog").open) at("dialog").showModal();
  at("dialog").querySelector("[data-close]")?.focus();
}

async function open(link) {
  opener = link.closest("li");
  const answer = await ask(link.href, { headers: { accept: "text/html" }, onWait: whileAway });
  put(await documentOf(answer));
}

async function send(event) {
  event.preventDefault();
  const form = event.target;
  const body = new URLSearchParams(new FormData(form));
  const answer = await ask(form.action, { method: "POST", body, headers: { accept: "text/html" }, onWait: whileAway });
  const done = answer.redirected || (answer.status === 404 && answer.repeated);
  if (!done) {
    put(await documentOf(answer));
    return;
  }
  const place = rows().indexOf(opener);
  opener = null;
  at("dialog").close();
  await refresh("The file is deleted.");
  const next = rows()[Math.min(place, rows().length - 1)];
  if (next) focusOn(next);
  else at("file").focus();
}

/** Opens the questions whether to delete in the dialog. */
export function deleteInDialog() {
  const dialog = at("dialog");
  dialog.addEventListener("submit", send);
  dialog.addEventListener("close", () => {
    dialog.replaceChildren();
    const from = opener?.isConnected ? opener.querySelector(".delete") : null;
    from?.focus();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (link.matches("dialog [data-close]")) dialog.close();
    else if (link.matches("#entries .delete")) open(link);
    else return;
    event.preventDefault();
  });
}
