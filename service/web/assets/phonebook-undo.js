// Deleting a contact of the phone book, and bringing it back.
//
// What is brought back is a new contact with the same values: its id, its version and the
// time it was added are new, and somebody may have taken its number meanwhile.

import { ask, detailOf, documentOf, newKey, place } from "./phonebook-asking.js";
import { focusOn, open } from "./phonebook-form.js";
import { nameOf, refresh, rows, showState, whileAway } from "./phonebook-list.js";
import { at, show } from "./shared.js";

const CONTACTS = place("api/v1/contacts");
const VALUES = ["first_name", "last_name", "number", "email", "note"];

let deleted = null;  // the values, the key of bringing them back, and the position in the list

function tell(text, undoable = false) {
  at("undo").hidden = false;
  at("undo").querySelector("p").textContent = text;
  at("undo-now").hidden = !undoable;
  show("announced", text);
}

export function dismiss() {
  at("undo").hidden = true;
  deleted = null;
}

/** Deletes the contact of a row, if nobody has changed it since it was shown. */
export async function remove(row) {
  if (row.hasAttribute("aria-busy")) return;
  row.setAttribute("aria-busy", "true");
  const { id, version } = row.dataset;
  const name = nameOf(row);
  const path = `${CONTACTS}/${id}`;
  const known = await ask(path, { headers: { accept: "application/json" }, onWait: whileAway });
  if (known.status === 404) return gone(row, `${name} was deleted by somebody else.`);
  if (!known.ok) return kept(row, await detailOf(known));
  const contact = await known.json();
  if (String(contact.version) !== version) return changed(row, name);
  const answer = await ask(path, { method: "DELETE", headers: { "if-match": `"${version}"` }, onWait: whileAway });
  if (answer.status === 412) return changed(row, name);
  // after an attempt without an answer, 404 says that it was that one
  if (answer.status === 404 && !answer.repeated) return gone(row, `${name} was deleted by somebody else.`);
  if (!answer.ok && answer.status !== 404) return kept(row, await detailOf(answer));
  const values = Object.fromEntries(VALUES.map((each) => [each, contact[each]]));
  deleted = { values, name, key: newKey(), position: rows().indexOf(row) };
  leave(row);
  tell(`${name} is deleted.`, true);
}

function leave(row) {
  const all = rows();
  const next = all[all.indexOf(row) + 1] ?? all[all.indexOf(row) - 1];
  row.remove();
  if (next) focusOn(next);
  else at("q").focus();
}

function gone(row, text) {
  leave(row);
  tell(text);
}

function kept(row, text) {
  row.removeAttribute("aria-busy");
  tell(text);
}

/** Shows what the contact is now; deleting that is another decision. */
async function changed(row, name) {
  await replaced(row, row.dataset.id);
  tell(`${name} was not deleted: somebody has changed this contact meanwhile. The list shows what it is now; delete it again if you still want to.`);
}

/** Puts the row of a contact as it is now in the place of another one. */
async function replaced(row, id) {
  const page = await documentOf(await ask(place(`phonebook?${new URLSearchParams({ done: "changed", id })}`), { onWait: whileAway }));
  const now = page.querySelector("#done li");
  if (!now) return refresh();
  row.replaceWith(now);
  focusOn(now);
}

/** Brings the contact back that was deleted last. */
export async function undo() {
  if (!deleted || at("undo-now").hidden) return;
  const { values, name, key, position } = deleted;
  at("undo-now").hidden = true;
  const answer = await ask(CONTACTS, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": key },
    body: JSON.stringify(values),
    onWait: whileAway,
  });
  showState("");
  if (!answer.ok) {
    tell(`${name} could not be brought back: ${await detailOf(answer)} The form has what was deleted.`);
    return open(place("phonebook/new"), values);
  }
  const { id } = await answer.json();
  const row = document.createElement("li");
  at("contacts").insertBefore(row, rows()[position] ?? null);
  await replaced(row, id);
  deleted = null;
  tell(`${name} is back, as a new entry: whoever kept the old one's address finds nothing there.`);
}

export function deleteWithUndo() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".contacts .delete");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    remove(link.closest("li"));
  });
  at("undo-now").addEventListener("click", undo);
  at("undo-not").addEventListener("click", () => { dismiss(); at("q").focus(); });
}
