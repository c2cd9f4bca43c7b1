// The page of a directory: its parts, put together, and its keys.

import { deleteInDialog, focusOn, rows } from "./files-list.js";
import { uploadFiles } from "./files-uploads.js";
import { at } from "./shared.js";

function onKey(event) {
  const row = event.target.closest("#entries > li");
  if (!row || at("dialog").open || event.altKey || event.ctrlKey || event.metaKey) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    const next = rows()[rows().indexOf(row) + step];
    if (next) focusOn(next);
  } else if (event.key === "Delete") row.querySelector(".delete")?.click();
  else return;
  event.preventDefault();
}

deleteInDialog();
uploadFiles();
document.addEventListener("keydown", onKey);
// what was done is told once, not with every reload
const clean = new URL(location.href);
for (const each of ["deleted", "uploaded"]) clean.searchParams.delete(each);
history.replaceState(null, "", clean);
document.documentElement.dataset.ready = "";
