/**
 * The operator's pages: shows moments in the reader's time zone, since the server only knows UTC; a copy button for a
 * new secret; no undo for what can no longer be undone.
 */

import { copyButtons } from "./copy.js";

const UNDO_MILLISECONDS = 60_000;

copyButtons(".secret", "after");

const undo = document.querySelector(".note form");
if (undo) setTimeout(() => undo.remove(), UNDO_MILLISECONDS);

for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.getAttribute("datetime") ?? "");
  if (!Number.isNaN(moment.getTime())) {
    time.textContent = moment.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
  }
}
