// The import of the phone book: one file, sent as it is, and what became of it.

import { at } from "./shared.js";
import { detailOf, place } from "./phonebook-asking.js";
import { refresh } from "./phonebook-list.js";

const MOST = 10;  // errors that are shown

const KINDS = { csv: "text/csv", vcf: "text/vcard" };

const kindOf = (file) => KINDS[file.name.toLowerCase().split(".").at(-1)] ?? "application/jsonl";

function line(text) {
  const item = document.createElement("li");
  item.textContent = text;
  return item;
}

function tell(text, errors = []) {
  const words = document.createElement("p");
  const list = document.createElement("ul");
  words.textContent = text;
  list.append(...errors.slice(0, MOST).map((each) => line(`line ${each.line}, ${each.field.replace("_", " ")}: ${each.reason}`)));
  if (errors.length > MOST) list.append(line("and more"));
  at("imported").replaceChildren(words, ...(errors.length ? [list] : []));
}

async function bring(file) {
  tell(`Importing ${file.name}…`);
  try {
    const answer = await fetch(place("api/v1/contacts/import"), { method: "POST", headers: { "content-type": kindOf(file) }, body: file });
    if (!answer.ok) return tell(`Not imported: ${await detailOf(answer)} It can be sent again: what is there already is skipped.`);
    const { added, skipped, refused, errors } = await answer.json();
    tell(`${added} added, ${skipped} skipped because their number is there, ${refused} refused.`, errors);
    await refresh();
  } catch {
    tell("No answer. The import can be sent again: what is there already is skipped.");
  }
}

export function importFiles() {
  at("import").addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.target.querySelector("button");
    button.disabled = true;
    await bring(at("file").files[0]);
    button.disabled = false;
  });
}
