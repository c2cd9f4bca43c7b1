// The phone book's page: its parts, put together, and its keys.

import { importFiles } from "./phonebook-import.js";
import { focusOn, openInDialog } from "./phonebook-form.js";
import { follow, rows } from "./phonebook-list.js";
import { deleteWithUndo, remove, undo } from "./phonebook-undo.js";
import { at } from "./shared.js";

const SWITCH = "phonebook-letters";

// single letters meet screen readers and speech input, so they can be switched off
const letters = { "/": () => { at("q").focus(); at("q").select(); }, n: () => at("add").click() };

function remember() {
  at("letters").checked = localStorage.getItem(SWITCH) !== "off";
  at("letters").addEventListener("change", () => localStorage.setItem(SWITCH, at("letters").checked ? "on" : "off"));
}

/** Moves the focus along the list; up from its first one is the search. */
function step(row, by) {
  const next = rows()[rows().indexOf(row) + by];
  if (next) focusOn(next);
  else if (by < 0) at("q").focus();
}

function onKey(event) {
  if (at("dialog").open || event.isComposing || event.altKey) return;
  const inField = event.target.matches("input:not([type=checkbox]), textarea");
  const row = event.target.closest("#contacts > li");
  const plain = !event.ctrlKey && !event.metaKey;
  let act = null;
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && !event.shiftKey && !inField) act = undo;
  else if (plain && !inField && at("letters").checked && Object.hasOwn(letters, event.key)) act = letters[event.key];
  else if (plain && event.key === "ArrowDown" && event.target === at("q") && rows().length) act = () => focusOn(rows()[0]);
  else if (plain && row && event.key === "ArrowDown") act = () => step(row, 1);
  else if (plain && row && event.key === "ArrowUp") act = () => step(row, -1);
  else if (plain && row && event.key === "Delete") act = () => remove(row);
  if (!act) return;
  event.preventDefault();
  act();
}

follow();
openInDialog();
deleteWithUndo();
importFiles();
remember();
document.addEventListener("keydown", onKey);
// what was done is told once, not with every reload
const clean = new URL(location.href);
for (const each of ["done", "id"]) clean.searchParams.delete(each);
history.replaceState(null, "", clean);
document.documentElement.dataset.ready = "";
